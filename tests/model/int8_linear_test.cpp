#include "prm_score/model/int8_linear.h"

#include <limits>
#include <utility>

#include "checkpoint_builder.h"
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

Linear random_linear(int64_t num_outputs, int64_t num_inputs, bool has_bias) {
  at::manual_seed(num_outputs + num_inputs);
  return {.weight = at::randn({num_outputs, num_inputs}),
          .bias = has_bias ? at::randn({num_outputs}) : at::Tensor(),
          .quantization = Quantization::kInt8};
}

TEST(Int8LinearTest, HasTheBitsOfTheOperators) {
  for (const auto& [num_outputs, num_inputs] : {std::pair<int64_t, int64_t>{112, 173}, {346, 112}, {7, 896}}) {
    for (const bool has_bias : {false, true}) {
      const Linear linear = random_linear(num_outputs, num_inputs, has_bias);
      const at::Tensor rows = at::randn({128, num_inputs}) * at::randn({128, 1}).exp();
      rows.select(0, 5).zero_();
      EXPECT_TRUE(at::equal(Int8Linear(linear).apply(rows), linear.apply(rows))) << num_outputs << ' ' << num_inputs;
    }
  }
}

TEST(Int8LinearTest, IsNearTheLayerInFloat32) {
  Linear linear = random_linear(300, 896, true);
  const at::Tensor rows = at::randn({64, 896});
  const at::Tensor found = Int8Linear(linear).apply(rows);
  linear.quantization = Quantization::kNone;
  const at::Tensor exact = linear.apply(rows);
  const double error = ((found - exact).norm() / exact.norm()).item<double>();
  EXPECT_LT(error, 0.02);
  EXPECT_GT(error, 1e-4);  // it is quantised
}

TEST(Int8LinearTest, WhatIsNotFiniteIsTreatedAlikeByTheOperators) {
  Linear linear = random_linear(40, 70, false);
  linear.weight.select(0, 3).select(0, 1).fill_(std::numeric_limits<float>::infinity());
  const at::Tensor rows = at::randn({32, 70});
  rows.select(0, 2).select(0, 7).fill_(std::numeric_limits<float>::quiet_NaN());
  const at::Tensor found = Int8Linear(linear).apply(rows), expected = linear.apply(rows);
  EXPECT_TRUE(at::equal(found.isnan(), expected.isnan()));
  EXPECT_EQ(found.isnan().sum().item<int64_t>(), 40 + 32 - 1);
  EXPECT_TRUE(at::equal(found.nan_to_num(), expected.nan_to_num()));
}

TEST(Int8LinearTest, RefusesWhatSumsHaveNoRoomFor) {
  const Linear linear = random_linear(1, kInt8MaxInputs + 1, false);
  EXPECT_EQ(error_of([&] { (void)Int8Linear(linear); }),
            "int8: expected layers of at most 65536 inputs, got one of 65537");
}

}  // namespace
}  // namespace prm_score
