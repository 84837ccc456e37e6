// mlp.h - gated feed-forward block with SiLU (SwiGLU, Shazeer 2020, arXiv:2002.05202).
#pragma once

#include <ATen/core/Tensor.h>

#include "prm_score/model/weights.h"

namespace prm_score {

// hidden [num_rows, hidden_size], after the post-attention norm -> [num_rows, hidden_size], before the residual:
// down(silu(gate(hidden)) * up(hidden)).
[[nodiscard]] at::Tensor mlp(const at::Tensor& hidden, const LayerWeights& layer);

}  // namespace prm_score
