#include "prm_score/model/cuda_row_operations.h"

#include <algorithm>
#include <cstdint>

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

namespace prm_score {
namespace {

constexpr int64_t kGroup = 8, kWarp = 32, kMaxThreads = 1024, kThreads = 256;

int64_t rounded_up(int64_t number, int64_t multiple) { return (number + multiple - 1) / multiple * multiple; }

// Blocks of kThreads that take `num_groups` groups of each row.
CudaModule::Size grid_of(int64_t num_rows, int64_t num_groups) {
  return {static_cast<unsigned>(num_rows), static_cast<unsigned>((num_groups + kThreads - 1) / kThreads), 1};
}

template <typename T>
T* data_of(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

using Bits = uint16_t;  // of a bfloat16

}  // namespace

bool CudaRowOperations::suits(at::Device device, at::ScalarType dtype, const ModelConfig& config) {
  return device.is_cuda() && dtype == at::kBFloat16 && config.hidden_size % kGroup == 0 &&
         config.intermediate_size % kGroup == 0 && config.head_dim % (2 * kGroup) == 0;
}

CudaRowOperations::CudaRowOperations(at::Device device)
    : module_(row_operations_source(), device),
      add_and_normalise_(module_.kernel("add_and_normalise")),
      rotate_(module_.kernel("rotate")),
      gate_(module_.kernel("gate")),
      merge_(module_.kernel("merge")) {}

at::Tensor CudaRowOperations::add_and_normalise(at::Tensor hidden, const at::Tensor& addend, const at::Tensor& weight,
                                                double eps) const {
  TORCH_CHECK(hidden.is_contiguous() && (!addend.defined() || addend.is_contiguous()),
              "rows: expected contiguous ones");
  const int64_t size = hidden.size(1);
  at::Tensor normalised = at::empty(hidden.sizes(), hidden.options().dtype(at::kBFloat16));
  if (hidden.size(0) == 0) return normalised;
  const auto num_threads = static_cast<unsigned>(std::min(kMaxThreads, rounded_up(size / kGroup, kWarp)));
  module_.launch(add_and_normalise_, {static_cast<unsigned>(hidden.size(0)), 1, 1}, {num_threads, 1, 1},
                 data_of<float>(hidden), addend.defined() ? data_of<Bits>(addend) : nullptr, data_of<float>(weight),
                 data_of<Bits>(normalised), static_cast<int>(size), static_cast<float>(eps));
  return normalised;
}

void CudaRowOperations::rotate(at::Tensor heads, const at::Tensor& cos, const at::Tensor& sin) const {
  const int64_t num_heads = heads.size(1), half = heads.size(2) / 2;
  TORCH_CHECK(heads.stride(2) == 1 && heads.stride(1) == heads.size(2), "heads: expected them side by side");
  TORCH_CHECK(cos.is_contiguous() && sin.is_contiguous(), "cos, sin: expected contiguous ones");
  if (heads.size(0) == 0) return;
  module_.launch(rotate_, grid_of(heads.size(0), num_heads * half / kGroup), {kThreads, 1, 1}, data_of<Bits>(heads),
                 data_of<float>(cos), data_of<float>(sin), static_cast<long long>(heads.stride(0)),
                 static_cast<int>(num_heads), static_cast<int>(half));
}

at::Tensor CudaRowOperations::gate(at::Tensor gate_up) const {
  TORCH_CHECK(gate_up.is_contiguous(), "gate_up: expected contiguous rows");
  const int64_t size = gate_up.size(1) / 2;
  if (gate_up.size(0) > 0) {
    module_.launch(gate_, grid_of(gate_up.size(0), size / kGroup), {kThreads, 1, 1}, data_of<Bits>(gate_up),
                   static_cast<int>(size));
  }
  return gate_up.narrow(1, 0, size);
}

void CudaRowOperations::merge(const Attended& own, const Attended& shared, const at::Tensor& has_none,
                              at::Tensor out) const {
  TORCH_CHECK(own.rows.is_contiguous() && shared.rows.is_contiguous() && out.is_contiguous() &&
                  own.log_sum_exp.is_contiguous() && shared.log_sum_exp.is_contiguous() && has_none.is_contiguous(),
              "attended rows: expected contiguous ones");
  const int64_t num_queries = own.rows.size(0), num_heads = own.rows.size(1), head_dim = own.rows.size(2);
  if (num_queries == 0) return;
  module_.launch(merge_, grid_of(num_queries, num_heads * head_dim / kGroup), {kThreads, 1, 1}, data_of<Bits>(own.rows),
                 data_of<float>(own.log_sum_exp), data_of<Bits>(shared.rows), data_of<float>(shared.log_sum_exp),
                 data_of<bool>(has_none), data_of<Bits>(out), static_cast<int>(num_queries),
                 static_cast<int>(num_heads), static_cast<int>(head_dim));
}

std::unique_ptr<const RowOperations> make_row_operations(at::Device device, at::ScalarType dtype,
                                                         const ModelConfig& config) {
  if (CudaRowOperations::suits(device, dtype, config)) return std::make_unique<CudaRowOperations>(device);
  return std::make_unique<LibtorchRowOperations>(dtype);
}

}  // namespace prm_score
