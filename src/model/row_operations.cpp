#include "prm_score/model/row_operations.h"

#include <tuple>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_rms_norm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

namespace prm_score {

at::Tensor LibtorchRowOperations::add_rms_norm(at::Tensor hidden, const at::Tensor& addend, const at::Tensor& weight,
                                               double eps) const {
  if (addend.defined()) hidden.add_(addend);
  return std::get<0>(at::_fused_rms_norm(hidden, {hidden.size(-1)}, weight, eps)).to(dtype_);
}

void LibtorchRowOperations::apply_rotary(at::Tensor heads, const at::Tensor& cos, const at::Tensor& sin) const {
  const int64_t half = heads.size(-1) / 2;
  const at::Tensor first = heads.narrow(-1, 0, half), second = heads.narrow(-1, half, half);
  const at::Tensor turned_first = at::mul(first, cos).addcmul_(second, sin, -1);  // float32, as cos is
  const at::Tensor turned_second = at::mul(second, cos).addcmul_(first, sin);
  first.copy_(turned_first);
  second.copy_(turned_second);
}

at::Tensor LibtorchRowOperations::silu_and_mul(at::Tensor gate_up) const {
  const int64_t size = gate_up.size(1) / 2;
  at::Tensor gate = gate_up.narrow(1, 0, size);
  at::silu_(gate);
  return gate.mul_(gate_up.narrow(1, size, size));
}

void LibtorchRowOperations::merge_attention_states(const Attended& own, const Attended& shared,
                                                   const at::Tensor& has_none, at::Tensor out) const {
  const at::Tensor difference = (own.log_sum_exp - shared.log_sum_exp).transpose(0, 1).unsqueeze(-1);
  const at::Tensor are_alone = has_none.view({-1, 1, 1});  // the shared ones' log-sum-exp then says nothing
  const at::Tensor own_share = at::sigmoid(difference).masked_fill_(are_alone, 1.0);
  const at::Tensor other_share = at::sigmoid(-difference).masked_fill_(are_alone, 0.0);
  out.copy_(at::mul(own.rows, own_share).addcmul_(shared.rows, other_share).flatten(1));
}

}  // namespace prm_score
