#include "prm_score/model/rms_norm.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(RmsNorm, DividesByRootMeanSquareAndScales) {
  // sqrt((9 + 16) / 2) = 3.5355339; 3 / 3.5355339 = 0.8485281, 4 / 3.5355339 = 1.1313708
  const at::Tensor result = rms_norm(at::tensor({3.0f, 4.0f}), at::tensor({1.0f, 2.0f}), 0.0);
  EXPECT_TRUE(at::allclose(result, at::tensor({0.8485281f, 2.2627417f}), 1e-6, 0)) << result;
}

TEST(RmsNorm, EpsIsAddedToTheMeanSquare) {
  // 1 / sqrt(1 + 3) = 0.5
  EXPECT_FLOAT_EQ(rms_norm(at::tensor({1.0f}), at::tensor({1.0f}), 3.0).item().toFloat(), 0.5f);
}

TEST(RmsNorm, RoundsToTheComputeDtypeBeforeTheScale) {
  // 5 / sqrt(12.5) = 1.4142136 rounds to 1.4140625; times 2.546875 = 3.60144 rounds to 3.59375. Scaled first it would
  // be 3.60183, which rounds to 3.609375.
  const auto to_bfloat16 = [](float a, float b) { return at::tensor({a, b}).to(at::kBFloat16); };
  const at::Tensor result = rms_norm(to_bfloat16(5.0f, 0.0f), to_bfloat16(2.546875f, 1.0f), 0.0);
  EXPECT_EQ(result.scalar_type(), at::kBFloat16);
  EXPECT_EQ(result[0].item().toFloat(), 3.59375f);
}

TEST(RmsNorm, SquaresOfLargeHalfPrecisionValuesDoNotOverflow) {
  const at::Tensor hidden = at::full({4}, 1000.0f).to(at::kHalf);  // squared, more than float16 can hold
  const at::Tensor result = rms_norm(hidden, at::full({4}, 1.0f).to(at::kHalf), 0.0);
  EXPECT_EQ(result[0].item().toFloat(), 1.0f);
}

TEST(RmsNorm, RejectsSizesThatDiffer) {
  EXPECT_THROW((void)rms_norm(at::full({2, 4}, 1.0f), at::full({3}, 1.0f), 1e-6), c10::Error);
}

}  // namespace
}  // namespace prm_score
