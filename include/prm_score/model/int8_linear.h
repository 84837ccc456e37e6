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
  // Quantises a layer in float32 on the CPU; keeps nothing of it but the bias. Throws Error if it has more than
  // kInt8MaxInputs inputs.
  explicit Int8Linear(const Linear& linear);

  [[nodiscard]] at::Tensor apply(const at::Tensor& rows) const override;

 private:
  at::Tensor packed_;  // uint8 [int8_packed_bytes]
  at::Tensor scales_;  // float32 [num_outputs]
  at::Tensor bias_;    // float32 [num_outputs]; undefined if there is none
  Int8Weight weight_;  // in these
};

// The same product from libtorch's operators, slow: the oracle's way. rows [num_rows, num_inputs], weight [num_outputs,
// num_inputs], bias [num_outputs] or undefined, all float32 -> [num_rows, num_outputs], the bits of Int8Linear.
[[nodiscard]] at::Tensor int8_linear_by_operators(const at::Tensor& rows, const at::Tensor& weight,
                                                  const at::Tensor& bias);

}  // namespace prm_score
