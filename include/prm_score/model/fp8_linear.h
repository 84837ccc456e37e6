// fp8_linear.h - a linear layer in 8-bit floating point numbers, on GPUs of compute capability 8.9 and newer.
//
// A row x is kept as numbers q of e4m3 (OCP 8-bit floating point: 4 bits of exponent, 3 of mantissa, no infinity,
// largest 448) and one scale s, x ~ s q with s = max|x| / 448; a weight as one scale per output. Thread-safe.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "prm_score/model/weights.h"

namespace prm_score {

inline constexpr double kLargestFp8 = 448;

struct Fp8Rows {
  at::Tensor values;  // float8_e4m3fn [num_rows, size], contiguous
  at::Tensor scales;  // float32 [num_rows, 1]; nan where a number of the row is not finite
};

// rows [num_rows, size], float32 or bfloat16, on any device.
[[nodiscard]] Fp8Rows round_to_fp8(const at::Tensor& rows);

// The layer with its weight rounded: `weight` in float8_e4m3fn, `scales` set. Throws Error unless both sizes of the
// weight are multiples of 16, which the kernels ask for.
[[nodiscard]] Linear to_fp8(Linear linear);

// rows [num_rows, num_inputs] in bfloat16, of a layer of to_fp8 on a GPU -> bfloat16 [num_rows, num_outputs]. The sums
// are taken in float32. On the CPU fp8_linear_by_operators.
[[nodiscard]] at::Tensor fp8_linear(const at::Tensor& rows, const Linear& linear);

// The same from products in float32 of what the numbers stand for, on any device: the oracle's way.
[[nodiscard]] at::Tensor fp8_linear_by_operators(const at::Tensor& rows, const Linear& linear);

}  // namespace prm_score
