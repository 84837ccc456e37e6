// What the promise of same bits stands on: a row's product is the same wherever the row lies in its block, whatever the
// other rows are, and whichever thread computes it. At the sizes of real models, too.
#include "prm_score/model/linear.h"

#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "prm_score/model/cpu_step_model.h"

namespace prm_score {
namespace {

constexpr int64_t kRows = CpuStepModel::kBlockRows;

struct Layer {
  int64_t num_inputs, num_outputs;
  at::ScalarType dtype;
  bool native_bfloat16 = has_bfloat16_products();
  bool has_bias = true;
};

Linear random_linear(const Layer& layer) {
  return {.weight = at::randn({layer.num_outputs, layer.num_inputs}).to(layer.dtype),
          .bias = layer.has_bias ? at::randn({layer.num_outputs}).to(layer.dtype) : at::Tensor()};
}

// As the step model does it: each on one thread.
PackedLinear packed(const Linear& linear, bool native_bfloat16) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  PackedLinear result(linear, kRows, native_bfloat16);
  at::set_num_threads(before);
  return result;
}

at::Tensor apply(const PackedLinear& linear, const at::Tensor& rows) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  at::Tensor result = linear.apply(rows);
  at::set_num_threads(before);
  return result;
}

bool same_row(const at::Tensor& a, int64_t row_a, const at::Tensor& b, int64_t row_b) {
  const auto size = static_cast<size_t>(a.size(1) * a.element_size());
  return std::memcmp(a[row_a].const_data_ptr(), b[row_b].const_data_ptr(), size) == 0;
}

class PackedLinearTest : public ::testing::TestWithParam<Layer> {};

TEST_P(PackedLinearTest, IsTheProductPlusBias) {
  const auto& layer = GetParam();
  const Linear linear = random_linear(layer);
  const at::Tensor rows = at::randn({kRows, layer.num_inputs}).to(layer.dtype);
  const at::Tensor found = apply(packed(linear, layer.native_bfloat16), rows);
  ASSERT_EQ(found.scalar_type(), layer.dtype);
  ASSERT_TRUE(found.is_contiguous());
  const auto bias = layer.has_bias ? std::optional(linear.bias.to(at::kDouble)) : std::nullopt;
  const at::Tensor expected = at::linear(rows.to(at::kDouble), linear.weight.to(at::kDouble), bias);
  const double error = (found.to(at::kDouble) - expected).abs().max().item().toDouble();
  const double largest = expected.abs().max().item().toDouble();
  // Half a unit in the last of bfloat16's eight places.
  EXPECT_LE(error, largest * (layer.dtype == at::kFloat ? 5e-6 : 1.0 / 256 + 5e-6));
}

TEST_P(PackedLinearTest, ARowIsTheSameAtEveryPlace) {
  const auto& layer = GetParam();
  const PackedLinear linear = packed(random_linear(layer), layer.native_bfloat16);
  const at::Tensor rows = at::randn({kRows, layer.num_inputs}).to(layer.dtype);
  const at::Tensor plain = apply(linear, rows);
  for (const int64_t shift : {1, 17, 64, 127}) {
    const at::Tensor moved = apply(linear, rows.roll({shift}, {0}));
    for (int64_t i = 0; i < kRows; ++i)
      ASSERT_TRUE(same_row(plain, i, moved, (i + shift) % kRows)) << i << " " << shift;
  }
  at::Tensor spoilt = rows.clone();
  spoilt.narrow(0, kRows / 2, kRows / 2).fill_(std::numeric_limits<float>::quiet_NaN());
  const at::Tensor beside = apply(linear, spoilt);
  for (int64_t i = 0; i < kRows / 2; ++i) ASSERT_TRUE(same_row(plain, i, beside, i)) << i;
}

TEST_P(PackedLinearTest, ARowIsTheSameOnEveryThread) {
  const auto& layer = GetParam();
  const Linear linear = random_linear(layer);
  const at::Tensor rows = at::randn({kRows, layer.num_inputs}).to(layer.dtype);
  const at::Tensor alone = apply(packed(linear, layer.native_bfloat16), rows);
  constexpr int kThreads = 3;
  std::vector<at::Tensor> found(kThreads);
  const int before = at::get_num_threads();
  at::set_num_threads(kThreads);
  at::parallel_for(0, kThreads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) found[i] = PackedLinear(linear, kRows, layer.native_bfloat16).apply(rows);
  });
  at::set_num_threads(before);
  for (const at::Tensor& result : found) {
    for (int64_t i = 0; i < kRows; ++i) ASSERT_TRUE(same_row(alone, i, result, i)) << i;
  }
}

std::string name_of(const ::testing::TestParamInfo<Layer>& info) {
  const auto& [num_inputs, num_outputs, dtype, native_bfloat16, has_bias] = info.param;
  const std::string kind = dtype == at::kFloat ? "float32" : native_bfloat16 ? "bfloat16" : "bfloat16_in_float32";
  return kind + "_" + std::to_string(num_inputs) + "_" + std::to_string(num_outputs) + (has_bias ? "" : "_unbiased");
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PackedLinearTest,
    ::testing::Values(Layer{896, 1152, at::kFloat}, Layer{896, 896, at::kFloat}, Layer{896, 9728, at::kFloat},
                      Layer{4864, 896, at::kFloat}, Layer{173, 112, at::kFloat}, Layer{112, 346, at::kFloat},
                      Layer{256, 1408, at::kFloat}, Layer{704, 256, at::kFloat}, Layer{3584, 512, at::kFloat},
                      Layer{1, 1, at::kFloat}, Layer{896, 1152, at::kBFloat16}, Layer{4864, 896, at::kBFloat16},
                      Layer{173, 112, at::kBFloat16}, Layer{112, 346, at::kBFloat16}, Layer{256, 1408, at::kBFloat16},
                      Layer{896, 1024, at::kBFloat16, false}, Layer{173, 96, at::kBFloat16, false},
                      Layer{256, 256, at::kFloat, true, false}, Layer{704, 256, at::kFloat, true, false},
                      Layer{173, 112, at::kFloat, true, false},
                      Layer{704, 256, at::kBFloat16, has_bfloat16_products(), false},
                      Layer{173, 112, at::kBFloat16, false, false}),
    name_of);

}  // namespace
}  // namespace prm_score
