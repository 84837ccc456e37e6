// vectorised.h - what the CPU's own loops share. Private to the model layer; free of torch.
#pragma once

#include <cstdint>

// A function whose loops the compiler turns into the widest vector instructions that the processor has, with -O3.
// A sanitizer's run-time library is not there yet when the variants are chosen at load time.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PRM_SCORE_VECTORISED
#else
#define PRM_SCORE_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

// What such a function is made of: a part of each of its variants.
#define PRM_SCORE_INLINED [[gnu::always_inline]] inline

namespace prm_score {

// 1.5 * 2^23: adding it to a smaller float32 leaves no bits for a fraction, the integer stands in the low ones.
inline constexpr float kRoundToInteger = 12582912.0F;

inline int64_t rounded_up(int64_t number, int64_t multiple) { return (number + multiple - 1) / multiple * multiple; }

// Elements from one row to the next where columns are walked down: an odd number of cache lines, the least that hold
// the row, so that the rows spread over all sets of a cache.
inline int64_t spread_stride(int64_t row_size, int64_t element_size) {
  const int64_t line = 64 / element_size;
  return (rounded_up(row_size, line) / line | 1) * line;
}

}  // namespace prm_score
