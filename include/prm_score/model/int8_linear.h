// int8_linear.h - a linear layer in 8-bit integers.
#pragma once

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "prm_score/model/block_linear.h"
#include "prm_score/model/int8_products.h"
#include "prm_score/model/weights.h"

namespace prm_score {

// Immutable, thread-safe. Rows may be any multiple of kInt8GroupRows.
class Int8Linear final : public BlockLinear {
 public:
  // Of a layer in float32 on the CPU. Keeps nothing of it but the bias and, where it is quantised already, its weight;
  // else quantises that. Throws Error if it has more than kInt8MaxInputs inputs.
  explicit Int8Linear(const Linear& linear);

  [[nodiscard]] at::Tensor apply(const at::Tensor& rows) const override;

 private:
  Int8Tensors tensors_;
  at::Tensor bias_;    // float32 [num_outputs]; undefined if there is none
  Int8Weight weight_;  // in these
};

// Throws Error if a layer has more than kInt8MaxInputs inputs.
void expect_int8_inputs(int64_t num_inputs);

// Rounds a weight [num_outputs, num_inputs] in float32, contiguous, on the CPU. Throws Error if it has more than
// kInt8MaxInputs inputs.
[[nodiscard]] Int8Tensors int8_tensors(const at::Tensor& weight);

// What `tensors` hold, in the form for kernels. Shares the memory.
[[nodiscard]] Int8Weight int8_weight(const Int8Tensors& tensors);

// The integers, in float32 [num_outputs, int8_padded_inputs].
[[nodiscard]] at::Tensor int8_values(const Int8Tensors& tensors);

// The weight that they stand for, in float32 [num_outputs, num_inputs].
[[nodiscard]] at::Tensor int8_numbers(const Int8Tensors& tensors);

// The same product from libtorch's operators, slow: the oracle's way. rows [num_rows, num_inputs] in float32 ->
// [num_rows, num_outputs], the bits of Int8Linear.
[[nodiscard]] at::Tensor int8_linear_by_operators(const at::Tensor& rows, const Linear& linear);

}  // namespace prm_score
