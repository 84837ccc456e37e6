// block_linear.h - a linear layer that is ready for blocks of rows on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace prm_score {

// A row's product depends on that row and on the weight alone, bit by bit: not on its place in the block nor on the
// other rows. Immutable, thread-safe.
class BlockLinear {
 public:
  BlockLinear() = default;
  BlockLinear(const BlockLinear&) = default;
  BlockLinear(BlockLinear&&) = default;
  BlockLinear& operator=(const BlockLinear&) = default;
  BlockLinear& operator=(BlockLinear&&) = default;
  virtual ~BlockLinear() = default;

  // rows W^T + b: [block_rows, num_inputs] -> [block_rows, num_outputs], contiguous, of the rows' dtype.
  [[nodiscard]] virtual at::Tensor apply(const at::Tensor& rows) const = 0;
};

}  // namespace prm_score
