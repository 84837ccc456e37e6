#include "prm_score/model/fp8_linear.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/where.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr at::ScalarType kFp8 = at::kFloat8_e4m3fn;

std::optional<at::Tensor> optional(const at::Tensor& bias) {
  return bias.defined() ? std::optional(bias) : std::nullopt;
}

}  // namespace

Fp8Rows round_to_fp8(const at::Tensor& rows) {
  const at::Tensor numbers = rows.to(at::kFloat);
  const at::Tensor largest = numbers.abs().amax(1, /*keepdim=*/true);  // nan if there is one
  const at::Tensor scales = largest / kLargestFp8;
  const at::Tensor is_usable = scales.isfinite() & (scales > 0);
  const at::Tensor divisors = at::where(is_usable, scales, at::ones_like(scales));
  // The conversion makes nan of what is above the largest number; a quotient may be, by its last bit.
  const at::Tensor values = (numbers / divisors).clamp(-kLargestFp8, kLargestFp8).to(kFp8).contiguous();
  return {.values = values, .scales = at::where(scales.isfinite(), scales, scales * NAN)};
}

Linear to_fp8(Linear linear) {
  constexpr int64_t kMultiple = 16;
  const int64_t num_outputs = linear.weight.size(0), num_inputs = linear.weight.size(1);
  if (num_outputs % kMultiple != 0 || num_inputs % kMultiple != 0) {
    throw Error("--dtype fp8: expected linear layers whose inputs and outputs are multiples of 16, got one of " +
                std::to_string(num_inputs) + " inputs and " + std::to_string(num_outputs) + " outputs");
  }
  Fp8Rows weight = round_to_fp8(linear.weight);
  linear.weight = std::move(weight.values);
  linear.scales = weight.scales.squeeze(1);
  return linear;
}

at::Tensor fp8_linear(const at::Tensor& rows, const Linear& linear) {
  if (!rows.is_cuda()) return fp8_linear_by_operators(rows, linear);
  const auto [values, scales] = round_to_fp8(rows);
  return at::_scaled_mm(values, linear.weight.t(), scales, linear.scales.unsqueeze(0).contiguous(),
                        optional(linear.bias), /*scale_result=*/std::nullopt, at::kBFloat16, /*use_fast_accum=*/false);
}

at::Tensor fp8_linear_by_operators(const at::Tensor& rows, const Linear& linear) {
  const auto [values, scales] = round_to_fp8(rows);
  const at::Tensor sums = at::linear(values.to(at::kFloat), linear.weight.to(at::kFloat));
  const at::Tensor products = sums * scales * linear.scales.unsqueeze(0);
  return (linear.bias.defined() ? products + linear.bias : products).to(rows.scalar_type());
}

}  // namespace prm_score
