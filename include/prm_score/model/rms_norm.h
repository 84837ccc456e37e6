// rms_norm.h - RMSNorm (Zhang & Sennrich 2019, arXiv:1910.07467): scale only, no bias, no mean.
#pragma once

#include <ATen/core/Tensor.h>

namespace prm_score {

// hidden [.., size], weight [size], same dtype and device -> like `hidden`. The norm is taken in float32 and rounded
// before the scale, as in the reference. Throws c10::Error if the sizes differ.
[[nodiscard]] at::Tensor rms_norm(const at::Tensor& hidden, const at::Tensor& weight, double rms_norm_eps);

}  // namespace prm_score
