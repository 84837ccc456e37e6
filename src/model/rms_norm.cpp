#include "prm_score/model/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rsqrt.h>

namespace prm_score {

at::Tensor rms_norm(const at::Tensor& hidden, const at::Tensor& weight, double rms_norm_eps) {
  TORCH_CHECK(weight.dim() == 1 && hidden.size(-1) == weight.size(0), "rms_norm: hidden ", hidden.sizes(), ", weight ",
              weight.sizes());
  const at::Tensor hidden_f32 = hidden.to(at::kFloat);
  const at::Tensor mean_square = hidden_f32.square().mean(at::IntArrayRef{-1}, /*keepdim=*/true);  // [.., 1]
  return weight * (hidden_f32 * at::rsqrt(mean_square + rms_norm_eps)).to(hidden.scalar_type());
}

}  // namespace prm_score
