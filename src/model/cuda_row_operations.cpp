#include "prm_score/model/cuda_row_operations.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>

#include "device_tensors.h"
#include <ATen/ops/empty.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>

namespace prm_score {
namespace {

constexpr int64_t kGroup = 8, kWarp = 32, kMaxThreads = 1024, kThreads = 256;

// Blocks of kThreads that take `num_groups` groups of each row.
CudaModule::Size grid_of(int64_t num_rows, int64_t num_groups) {
  return {static_cast<unsigned>(num_rows), static_cast<unsigned>((num_groups + kThreads - 1) / kThreads), 1};
}

using Bits = uint16_t;  // of a bfloat16

float* floats_of(const at::Tensor& tensor) { return tensor.mutable_data_ptr<float>(); }

// Rows that can be read 16 bytes at a time.
Bits* bits_of(const at::Tensor& tensor) {
  auto* const bits = reinterpret_cast<Bits*>(tensor.mutable_data_ptr<at::BFloat16>());
  TORCH_CHECK(reinterpret_cast<uintptr_t>(bits) % (kGroup * sizeof(Bits)) == 0, "rows: expected them at 16 bytes");
  return bits;
}

void expect_contiguous(std::initializer_list<std::reference_wrapper<const at::Tensor>> tensors) {
  for (const at::Tensor& tensor : tensors) TORCH_CHECK(tensor.is_contiguous(), "expected contiguous rows");
}

}  // namespace

bool CudaRowOperations::suits(at::Device device, at::ScalarType dtype, const ModelConfig& config) {
  return device.is_cuda() && dtype == at::kBFloat16 && config.hidden_size % kGroup == 0 &&
         config.intermediate_size % kGroup == 0 && config.head_dim % (2 * kGroup) == 0;
}

CudaRowOperations::CudaRowOperations(at::Device device)
    : module_(row_operations_source(), device),
      add_rms_norm_(module_.kernel("add_rms_norm")),
      apply_rotary_(module_.kernel("apply_rotary")),
      silu_and_mul_(module_.kernel("silu_and_mul")),
      merge_attention_states_(module_.kernel("merge_attention_states")) {}

at::Tensor CudaRowOperations::add_rms_norm(at::Tensor hidden, const at::Tensor& addend, const at::Tensor& weight,
                                           double eps) const {
  const int64_t size = hidden.size(1);
  expect_contiguous({hidden, weight});
  if (addend.defined()) expect_contiguous({addend});
  TORCH_CHECK((!addend.defined() || addend.sizes() == hidden.sizes()) && weight.numel() == size && size % kGroup == 0,
              "hidden ", hidden.sizes(), ", weight ", weight.sizes());
  at::Tensor normalised = at::empty(hidden.sizes(), hidden.options().dtype(at::kBFloat16));
  if (hidden.size(0) == 0) return normalised;
  const auto num_threads = static_cast<unsigned>(std::min(kMaxThreads, rounded_up(size / kGroup, kWarp)));
  module_.launch(add_rms_norm_, {static_cast<unsigned>(hidden.size(0)), 1, 1}, {num_threads, 1, 1}, floats_of(hidden),
                 addend.defined() ? bits_of(addend) : static_cast<Bits*>(nullptr), floats_of(weight),
                 bits_of(normalised), static_cast<int>(size), static_cast<float>(eps));
  return normalised;
}

void CudaRowOperations::apply_rotary(at::Tensor heads, const at::Tensor& cos, const at::Tensor& sin) const {
  const int64_t num_heads = heads.size(1), half = heads.size(2) / 2;
  TORCH_CHECK(heads.stride(2) == 1 && heads.stride(1) == heads.size(2), "heads: expected them side by side");
  expect_contiguous({cos, sin});
  TORCH_CHECK(cos.numel() == heads.size(0) * half && sin.numel() == cos.numel() && half % kGroup == 0 &&
                  heads.stride(0) % kGroup == 0,
              "heads ", heads.sizes(), ", cos ", cos.sizes());
  if (heads.size(0) == 0) return;
  module_.launch(apply_rotary_, grid_of(heads.size(0), num_heads * half / kGroup), {kThreads, 1, 1}, bits_of(heads),
                 floats_of(cos), floats_of(sin), static_cast<long long>(heads.stride(0)), static_cast<int>(num_heads),
                 static_cast<int>(half));
}

at::Tensor CudaRowOperations::silu_and_mul(at::Tensor gate_up) const {
  const int64_t size = gate_up.size(1) / 2;
  expect_contiguous({gate_up});
  TORCH_CHECK(size % kGroup == 0, "gate_up ", gate_up.sizes());
  if (gate_up.size(0) > 0) {
    module_.launch(silu_and_mul_, grid_of(gate_up.size(0), size / kGroup), {kThreads, 1, 1}, bits_of(gate_up),
                   static_cast<int>(size));
  }
  return gate_up.narrow(1, 0, size);
}

void CudaRowOperations::merge_attention_states(const Attended& own, const Attended& shared, const at::Tensor& has_none,
                                               at::Tensor out) const {
  expect_contiguous({own.rows, shared.rows, own.log_sum_exp, shared.log_sum_exp, has_none, out});
  const int64_t num_queries = own.rows.size(0), num_heads = own.rows.size(1), head_dim = own.rows.size(2);
  TORCH_CHECK(shared.rows.sizes() == own.rows.sizes() && out.numel() == own.rows.numel() &&
                  own.log_sum_exp.numel() == num_heads * num_queries &&
                  shared.log_sum_exp.numel() == num_heads * num_queries && has_none.numel() == num_queries &&
                  head_dim % kGroup == 0,
              "own rows ", own.rows.sizes(), ", shared rows ", shared.rows.sizes(), ", out ", out.sizes());
  if (num_queries == 0) return;
  module_.launch(merge_attention_states_, grid_of(num_queries, num_heads * head_dim / kGroup), {kThreads, 1, 1},
                 bits_of(own.rows), floats_of(own.log_sum_exp), bits_of(shared.rows), floats_of(shared.log_sum_exp),
                 has_none.const_data_ptr<bool>(), bits_of(out), static_cast<int>(num_queries),
                 static_cast<int>(num_heads), static_cast<int>(head_dim));
}

std::unique_ptr<const RowOperations> make_row_operations(at::Device device, at::ScalarType dtype,
                                                         const ModelConfig& config) {
  if (CudaRowOperations::suits(device, dtype, config)) return std::make_unique<CudaRowOperations>(device);
  return std::make_unique<LibtorchRowOperations>(dtype);
}

}  // namespace prm_score
