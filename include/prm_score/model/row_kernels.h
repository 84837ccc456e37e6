// row_kernels.h - what a layer does to a row besides matrix products, on the CPU.
//
// A row's result depends on that row alone, bit by bit: not on the rows beside it, on the thread, or on the vector
// instructions that the processor has (sums run over kLanes partial sums in a fixed order, nothing is contracted to
// fused multiply-adds). Everything is computed in float32. Thread-safe; memory must not overlap unless it is the same.
#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

namespace prm_score {

inline constexpr int64_t kLanes = 16;  // partial sums of a reduction: lane i has the elements i, i + 16, i + 32, ..

// out = row * rsqrt(mean(row^2) + eps) * weight; `size` elements each.
void rms_norm_row(const float* row, const float* weight, int64_t size, float eps, float* out);
void rms_norm_row(const float* row, const float* weight, int64_t size, float eps, c10::BFloat16* out);
void rms_norm_row(const c10::BFloat16* row, const float* weight, int64_t size, float eps, c10::BFloat16* out);

// Rotates component i of the head together with component i + half by the angles whose cosines and sines are given
// [half each]. In place.
void rotate_head(float* head, const float* cos, const float* sin, int64_t half);
void rotate_head(c10::BFloat16* head, const float* cos, const float* sin, int64_t half);

// out = silu(gate) * up; `size` elements each. `out` may be `gate`.
void silu_multiply_row(const float* gate, const float* up, int64_t size, float* out);
void silu_multiply_row(const c10::BFloat16* gate, const c10::BFloat16* up, int64_t size, c10::BFloat16* out);

// sum += row
void add_row(const float* row, int64_t size, float* sum);
void add_row(const c10::BFloat16* row, int64_t size, float* sum);

// to = from * scale
void scale_row(const float* from, float scale, int64_t size, float* to);
void scale_row(const c10::BFloat16* from, float scale, int64_t size, float* to);
void scale_row(const float* from, float scale, int64_t size, c10::BFloat16* to);

// Softmax of the columns of a matrix that comes a block of rows at a time (online softmax, arXiv:1805.02867).
struct ColumnSoftmax {
  static constexpr int64_t kMostColumns = 64;

  int64_t num_columns = 0;
  const int32_t* num_visible = nullptr;  // [num_columns]: the rows of the block that count, from the first one on
  float* max = nullptr;  // [num_columns]: of what counted; at first std::numeric_limits<float>::lowest()
  float* sum = nullptr;  // [num_columns]: of exp(score - max); at first 0
};

// scores = exp(score - max) with the maxima as they are now, in place, and 0 where it does not count; [num_rows,
// num_columns]. factors [num_columns] = exp(max before - max now), for what was summed up with the ones before; false
// if all are 1. exp is off by 2 ulp at most; arguments below -87 count as -87. A nan that counts makes its column nan.
bool weigh_columns(const ColumnSoftmax& softmax, float* scores, int64_t num_rows, float* factors);

// numbers[row][i] *= factors[i]; [num_rows, num_columns].
void scale_columns(const float* factors, int64_t num_columns, int64_t num_rows, float* numbers);

[[nodiscard]] float dot(const float* a, const float* b, int64_t size);

}  // namespace prm_score
