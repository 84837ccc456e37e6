#include "prm_score/model/mlp.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/silu.h>

namespace prm_score {

at::Tensor mlp(const at::Tensor& hidden, const LayerWeights& layer) {
  const at::Tensor gate_up = layer.gate_up_proj.apply(hidden);  // [num_rows, 2 intermediate_size]
  const int64_t intermediate_size = gate_up.size(1) / 2;
  const at::Tensor gate = gate_up.narrow(1, 0, intermediate_size);
  const at::Tensor up = gate_up.narrow(1, intermediate_size, intermediate_size);
  return layer.down_proj.apply(at::silu(gate) * up);
}

}  // namespace prm_score
