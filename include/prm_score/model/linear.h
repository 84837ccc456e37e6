// linear.h - a linear layer in the layout that the CPU's matrix kernels read fastest.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "prm_score/model/block_linear.h"
#include "prm_score/model/weights.h"

namespace prm_score {

// Whether oneDNN has products of bfloat16 for this CPU (AVX-512 or AVX-NE-CONVERT at least).
[[nodiscard]] bool has_bfloat16_products();

// What layers of `dtype`, float32 or bfloat16, are packed in on this CPU.
[[nodiscard]] at::ScalarType packed_dtype(at::ScalarType dtype);

// A linear layer whose weight is packed once, by oneDNN, for blocks of so many rows: a product of a block then reads it
// in order and copies nothing. Immutable, thread-safe.
//
// tests/model/linear_test.cpp holds oneDNN to BlockLinear's promise. Its number of threads may change how it sums up,
// so make and apply it where libtorch gives one thread to each (in at::parallel_for, or if there is but one).
class PackedLinear final : public BlockLinear {
 public:
  // Of a layer in float32 or bfloat16 on the CPU; keeps nothing of it but the bias. Products of bfloat16 that are not
  // native (not given: if this CPU has them) are computed in float32, in twice the memory, and rounded: several times
  // as fast as what libtorch does without instructions for them.
  PackedLinear(const Linear& linear, int64_t block_rows, std::optional<bool> native_bfloat16 = std::nullopt);

  // Of rows of the layer's dtype.
  [[nodiscard]] at::Tensor apply(const at::Tensor& rows) const override;

 private:
  at::Tensor weight_;  // opaque
  at::Tensor bias_;    // undefined if the layer has none
};

}  // namespace prm_score
