#include "prm_score/model/linear.h"

#include <algorithm>

#include "blas.h"
#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

namespace prm_score {

void apply_in_place(const Linear& linear, const at::Tensor& rows, at::Tensor& out) {
  const at::Tensor& weight = linear.weight;
  if (weight.scalar_type() != at::kFloat) {
    if (linear.bias.defined()) {
      at::addmm_out(out, linear.bias, rows, weight.t());
    } else {
      at::mm_out(out, rows, weight.t());
    }
    return;
  }
  auto* outputs = out.mutable_data_ptr<float>();
  if (linear.bias.defined()) {
    const auto* bias = linear.bias.const_data_ptr<float>();
    for (int64_t i = 0; i < out.size(0); ++i) std::copy_n(bias, out.size(1), outputs + i * out.stride(0));
  }
  multiply({.data = rows.const_data_ptr<float>(),
            .num_rows = rows.size(0),
            .num_columns = rows.size(1),
            .stride = rows.stride(0)},
           {.data = weight.const_data_ptr<float>(),
            .num_rows = weight.size(0),
            .num_columns = weight.size(1),
            .stride = weight.stride(0)},
           /*transpose_right=*/true, /*add=*/linear.bias.defined(), outputs, out.stride(0));
}

}  // namespace prm_score
