// row_operations.h - what a step does to single rows between its matrix products and its attention, on a device.
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include "prm_score/model/varlen_attention.h"

namespace prm_score {

// What a row gets depends on that row alone, bit by bit. Immutable, thread-safe.
class RowOperations {
 public:
  virtual ~RowOperations() = default;

  // hidden += addend, where one is defined; then the rows by their root mean square, times weight.
  // hidden float32 [num_rows, hidden_size], contiguous; addend [num_rows, hidden_size], of the compute dtype; weight
  // float32 [hidden_size] -> [num_rows, hidden_size], of the compute dtype.
  [[nodiscard]] virtual at::Tensor add_rms_norm(at::Tensor hidden, const at::Tensor& addend, const at::Tensor& weight,
                                                double eps) const = 0;

  // Rotary position embedding, in place. heads [num_rows, num_heads, head_dim], each row's heads contiguous; cos and
  // sin float32 [num_rows, 1, head_dim / 2].
  virtual void apply_rotary(at::Tensor heads, const at::Tensor& cos, const at::Tensor& sin) const = 0;

  // SwiGLU, in place: gate_up [num_rows, 2 * intermediate_size], contiguous. -> silu(first half) * second half, which
  // is the first half of gate_up.
  [[nodiscard]] virtual at::Tensor silu_and_mul(at::Tensor gate_up) const = 0;

  // Attention to own rows and to shared ones as if it had been one. has_none bool [num_queries]: where there are no
  // shared ones. out [num_queries, num_attention_heads * head_dim], of the compute dtype.
  virtual void merge_attention_states(const Attended& own, const Attended& shared, const at::Tensor& has_none,
                                      at::Tensor out) const = 0;
};

// libtorch's own kernels, one after another: any device, dtype and size.
class LibtorchRowOperations final : public RowOperations {
 public:
  explicit LibtorchRowOperations(at::ScalarType dtype) : dtype_(dtype) {}

  [[nodiscard]] at::Tensor add_rms_norm(at::Tensor hidden, const at::Tensor& addend, const at::Tensor& weight,
                                        double eps) const override;
  void apply_rotary(at::Tensor heads, const at::Tensor& cos, const at::Tensor& sin) const override;
  [[nodiscard]] at::Tensor silu_and_mul(at::Tensor gate_up) const override;
  void merge_attention_states(const Attended& own, const Attended& shared, const at::Tensor& has_none,
                              at::Tensor out) const override;

 private:
  at::ScalarType dtype_;
};

}  // namespace prm_score
