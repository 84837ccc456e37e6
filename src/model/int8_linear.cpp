#include "prm_score/model/int8_linear.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr double kLargest = 127;
constexpr int64_t kRotated = 64;

// The calling thread's, so that no memory is taken per product.
Int8Rows& own_rows() {
  thread_local Int8Rows rows;
  return rows;
}

// Rows as int8_products.h keeps them.
struct QuantizedTensor {
  at::Tensor values;  // float32 [num_rows, int8_padded_inputs], integers
  at::Tensor scales;  // float32 [num_rows, 1]
};

// H x of every kRotated numbers, by sums and differences of two.
at::Tensor rotated(const at::Tensor& padded_rows) {
  at::Tensor rows = padded_rows.contiguous();
  for (int64_t stride = kRotated / 2; stride > 0; stride /= 2) {
    const at::Tensor pairs = rows.view({-1, 2, stride});
    const at::Tensor a = pairs.select(1, 0), b = pairs.select(1, 1);
    rows = at::stack({a + b, a - b}, 1).view(padded_rows.sizes());
  }
  return rows;
}

at::Tensor padded(const at::Tensor& rows) {
  const int64_t num_inputs = rows.size(1);
  return at::constant_pad_nd(rows, {0, int8_padded_inputs(num_inputs) - num_inputs});
}

QuantizedTensor quantized(const at::Tensor& numbers) {
  const at::Tensor rows = rotated(padded(numbers));
  const at::Tensor largest = rows.abs().amax(1, /*keepdim=*/true);  // nan if there is one
  const at::Tensor inverse = at::full_like(largest, kLargest) / largest;
  const at::Tensor is_usable = inverse.isfinite() & largest.isfinite();
  const at::Tensor zero = at::zeros_like(largest);
  const at::Tensor scales =
      at::where(is_usable, largest / kLargest, at::where(largest.isfinite(), zero, largest * NAN));
  return {.values = at::where(is_usable, (rows * inverse).round(), zero), .scales = scales};
}

QuantizedTensor quantized_weight(const Linear& linear) {
  if (linear.int8) return {.values = int8_values(*linear.int8), .scales = linear.int8->scales.unsqueeze(1)};
  if (linear.scales.defined()) return {.values = linear.weight, .scales = linear.scales.unsqueeze(1)};
  const auto [values, scales] = quantized(linear.weight);
  return {.values = values, .scales = scales / kRotated};
}

}  // namespace

void expect_int8_inputs(int64_t num_inputs) {
  if (num_inputs <= kInt8MaxInputs) return;
  throw Error("int8: expected layers of at most " + std::to_string(kInt8MaxInputs) + " inputs, got one of " +
              std::to_string(num_inputs));
}

Int8Tensors int8_tensors(const at::Tensor& weight) {
  const int64_t num_outputs = weight.size(0), num_inputs = weight.size(1);
  expect_int8_inputs(num_inputs);
  Int8Tensors tensors = {.packed = at::empty({int8_packed_bytes(num_outputs, num_inputs)}, at::kByte),
                         .scales = at::empty({num_outputs}, at::kFloat),
                         .num_inputs = num_inputs};  // libtorch aligns memory to 64 bytes
  const std::span packed(tensors.packed.mutable_data_ptr<uint8_t>(), tensors.packed.numel());
  const std::span scales(tensors.scales.mutable_data_ptr<float>(), num_outputs);
  const std::span rows(weight.const_data_ptr<float>(), num_outputs * num_inputs);
  const int64_t num_groups = (num_outputs + kInt8PackedOutputs - 1) / kInt8PackedOutputs;
  at::parallel_for(0, num_groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      const int64_t first = group * kInt8PackedOutputs;
      const int64_t count = std::min(kInt8PackedOutputs, num_outputs - first);
      pack_int8_outputs(rows.subspan(first * num_inputs, count * num_inputs), num_inputs, first, packed, scales);
    }
  });
  return tensors;
}

Int8Weight int8_weight(const Int8Tensors& tensors) {
  return {.packed = {tensors.packed.const_data_ptr<uint8_t>(), static_cast<size_t>(tensors.packed.numel())},
          .scales = {tensors.scales.const_data_ptr<float>(), static_cast<size_t>(tensors.scales.numel())},
          .num_outputs = tensors.scales.numel(),
          .num_inputs = tensors.num_inputs};
}

at::Tensor int8_values(const Int8Tensors& tensors) {
  at::Tensor values = at::empty({tensors.scales.numel(), int8_padded_inputs(tensors.num_inputs)}, at::kFloat);
  unpack_int8(int8_weight(tensors), {values.mutable_data_ptr<float>(), static_cast<size_t>(values.numel())});
  return values;
}

at::Tensor int8_numbers(const Int8Tensors& tensors) {
  return rotated(int8_values(tensors) * tensors.scales.unsqueeze(1)).narrow(1, 0, tensors.num_inputs);
}

Int8Linear::Int8Linear(const Linear& linear)
    : tensors_(linear.int8 ? *linear.int8 : int8_tensors(linear.weight.contiguous())),
      bias_(linear.bias),
      weight_(int8_weight(tensors_)) {}

at::Tensor Int8Linear::apply(const at::Tensor& rows) const {
  const int64_t num_rows = rows.size(0);
  Int8Rows& quantized_rows = own_rows();
  quantized_rows.resize(num_rows, weight_.num_inputs);
  const auto* row = rows.const_data_ptr<float>();
  for (int64_t i = 0; i < num_rows; ++i, row += rows.stride(0)) quantized_rows.set(i, row);
  at::Tensor out = at::empty({num_rows, weight_.num_outputs}, rows.options());
  int8_product(
      quantized_rows, weight_,
      {.rows = out.mutable_data_ptr<float>(), .bias = bias_.defined() ? bias_.const_data_ptr<float>() : nullptr});
  return out;
}

at::Tensor int8_linear_by_operators(const at::Tensor& rows, const Linear& linear) {
  const QuantizedTensor row = quantized(rows), output = quantized_weight(linear);
  // Sums of integers are exact in float64.
  const at::Tensor sums = at::linear(row.values.to(at::kDouble), output.values.to(at::kDouble)).to(at::kFloat);
  const at::Tensor products = sums * (row.scales * output.scales.t());
  return linear.bias.defined() ? products + linear.bias : products;
}

}  // namespace prm_score
