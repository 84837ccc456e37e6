#include "prm_score/model/linear.h"

#include <cstdlib>
#include <optional>
#include <string_view>

#include <ATen/TensorOperators.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/ones.h>
#include <cpuid.h>

namespace prm_score {
namespace {

bool has_amx() {
  constexpr unsigned kAmxTile = 1U << 24;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kAmxTile) != 0;
}

// oneDNN's bfloat16 kernels for AMX cut their sums by the number of threads that they find, so that a row's bits would
// depend on how many others there are. It asks for this variable when it is first used: before main() is early enough.
// A user's own setting stays; a Python program that has computed with torch already is too late for it.
[[maybe_unused]] const bool is_without_amx = [] {
  const bool is_set = std::getenv("ONEDNN_MAX_CPU_ISA") != nullptr || std::getenv("DNNL_MAX_CPU_ISA") != nullptr;
  return has_amx() && !is_set && setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_FP16", /*overwrite=*/0) == 0;
}();

// libtorch's operators without a C++ function. The signatures are those of their schemas.
using ReorderWeight = at::Tensor(const at::Tensor& weight, std::optional<int64_t> batch_size);
using LinearPointwise = at::Tensor(const at::Tensor& rows, const at::Tensor& weight,
                                   const std::optional<at::Tensor>& bias, std::string_view activation,
                                   c10::List<std::optional<at::Scalar>> scalars,
                                   std::optional<std::string_view> algorithm);

template <typename Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

at::Tensor packed(const at::Tensor& weight, int64_t block_rows) {
  static const auto reorder = find_operator<ReorderWeight>("mkldnn::_reorder_linear_weight");
  return reorder.call(weight.contiguous(), block_rows);
}

at::Tensor product(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
  static const auto linear = find_operator<LinearPointwise>("mkldnn::_linear_pointwise");
  return linear.call(rows, weight, bias.defined() ? std::optional(bias) : std::nullopt, "none",
                     c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

}  // namespace

bool has_bfloat16_products() {
  static const bool has_them = [] {
    try {
      const at::Tensor one = at::ones({1, 1}, at::kBFloat16);
      static_cast<void>(product(one, packed(one, 1), {}));
      return true;
    } catch (const c10::Error&) {
      return false;
    }
  }();
  return has_them;
}

at::ScalarType packed_dtype(at::ScalarType dtype) {
  return dtype == at::kBFloat16 && !has_bfloat16_products() ? at::kFloat : dtype;
}

PackedLinear::PackedLinear(const Linear& linear, int64_t block_rows, std::optional<bool> native_bfloat16)
    : bias_(linear.bias) {
  const bool is_bfloat16 = linear.weight.scalar_type() == at::kBFloat16;
  const bool is_widened = is_bfloat16 && !(native_bfloat16 ? *native_bfloat16 : has_bfloat16_products());
  weight_ = packed(is_widened ? linear.weight.to(at::kFloat) : linear.weight, block_rows);
  if (is_widened && bias_.defined()) bias_ = bias_.to(at::kFloat);
}

at::Tensor PackedLinear::apply(const at::Tensor& rows) const {
  if (rows.scalar_type() == weight_.scalar_type()) return product(rows, weight_, bias_);
  return product(rows.to(weight_.scalar_type()), weight_, bias_).to(rows.scalar_type());
}

}  // namespace prm_score
