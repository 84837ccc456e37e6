#include "prm_score/model/int8_linear.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/where.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr double kLargest = 127;

// The calling thread's, so that no memory is taken per product.
Int8Rows& own_rows() {
  thread_local Int8Rows rows;
  return rows;
}

// Rows as int8_products.h keeps them.
struct QuantizedTensor {
  at::Tensor values;  // float32 [num_rows, size], integers
  at::Tensor scales;  // float32 [num_rows, 1]
};

QuantizedTensor quantized(const at::Tensor& rows) {
  const at::Tensor largest = rows.abs().amax(1, /*keepdim=*/true);  // nan if there is one
  const at::Tensor inverse = at::full_like(largest, kLargest) / largest;
  const at::Tensor is_usable = inverse.isfinite() & largest.isfinite();
  const at::Tensor zero = at::zeros_like(largest);
  const at::Tensor scales =
      at::where(is_usable, largest / kLargest, at::where(largest.isfinite(), zero, largest * NAN));
  return {.values = at::where(is_usable, (rows * inverse).round(), zero), .scales = scales};
}

}  // namespace

Int8Linear::Int8Linear(const Linear& linear) : bias_(linear.bias) {
  const int64_t num_outputs = linear.weight.size(0), num_inputs = linear.weight.size(1);
  if (num_inputs > kInt8MaxInputs) {
    throw Error("--dtype int8: expected layers of at most " + std::to_string(kInt8MaxInputs) + " inputs, got one of " +
                std::to_string(num_inputs));
  }
  const at::Tensor weight = linear.weight.contiguous();
  packed_ = at::empty({int8_packed_bytes(num_outputs, num_inputs)}, at::kByte);  // libtorch aligns it to 64 bytes
  scales_ = at::empty({num_outputs}, at::kFloat);
  const std::span packed(packed_.mutable_data_ptr<uint8_t>(), packed_.numel());
  const std::span scales(scales_.mutable_data_ptr<float>(), num_outputs);
  const std::span rows(weight.const_data_ptr<float>(), num_outputs * num_inputs);
  for (int64_t first = 0; first < num_outputs; first += kInt8PackedOutputs) {
    const int64_t count = std::min(kInt8PackedOutputs, num_outputs - first);
    pack_int8_outputs(rows.subspan(first * num_inputs, count * num_inputs), num_inputs, first, packed, scales);
  }
  weight_ = {.packed = packed, .scales = scales, .num_outputs = num_outputs, .num_inputs = num_inputs};
}

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

at::Tensor int8_linear_by_operators(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
  const QuantizedTensor row = quantized(rows), output = quantized(weight);
  // Sums of integers are exact in float64.
  const at::Tensor sums = at::linear(row.values.to(at::kDouble), output.values.to(at::kDouble)).to(at::kFloat);
  const at::Tensor products = sums * (row.scales * output.scales.t());
  return bias.defined() ? products + bias : products;
}

}  // namespace prm_score
