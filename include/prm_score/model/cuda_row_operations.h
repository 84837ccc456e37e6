// cuda_row_operations.h - row operations in one pass over memory each: kernels of our own, compiled when the model is
// loaded. On a large GPU the matrix products are so fast that every further pass over the rows counts.
#pragma once

#include <string>

#include "prm_score/model/cuda_module.h"
#include "prm_score/model/model_config.h"
#include "prm_score/model/row_operations.h"

namespace prm_score {

// CUDA C++, for NVRTC: src/model/row_operations.cu.
[[nodiscard]] const std::string& row_operations_source();

// In bfloat16. silu_and_mul rounds once where LibtorchRowOperations rounds twice, and sums are added up in another
// order: numbers differ in the last place.
class CudaRowOperations final : public RowOperations {
 public:
  // Sizes that can be read 16 bytes at a time.
  [[nodiscard]] static bool suits(at::Device device, at::ScalarType dtype, const ModelConfig& config);

  // Throws Error if the kernels cannot be compiled.
  explicit CudaRowOperations(at::Device device);

  [[nodiscard]] at::Tensor add_rms_norm(at::Tensor hidden, const at::Tensor& addend, const at::Tensor& weight,
                                        double eps) const override;
  void apply_rotary(at::Tensor heads, const at::Tensor& cos, const at::Tensor& sin) const override;
  [[nodiscard]] at::Tensor silu_and_mul(at::Tensor gate_up) const override;
  void merge_attention_states(const Attended& own, const Attended& shared, const at::Tensor& has_none,
                              at::Tensor out) const override;

 private:
  CudaModule module_;
  CudaModule::Kernel add_rms_norm_, apply_rotary_, silu_and_mul_, merge_attention_states_;
};

// CudaRowOperations where they suit.
[[nodiscard]] std::unique_ptr<const RowOperations> make_row_operations(at::Device device, at::ScalarType dtype,
                                                                       const ModelConfig& config);

}  // namespace prm_score
