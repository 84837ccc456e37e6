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
  // 1 / 3.5355339 * 5 = 1.4142135 rounds to 1.4140625 in bfloat16; times 3 = 4.2421875 rounds to 4.25. Scaled first,
  // 4.2426407 would round to 4.25 too, so 3.03125 is used: 4.2863770 -> 4.28125; 4.2868348 -> 4.28125 .. 4.3125.
  const auto to_bfloat16 = [](float a, float b) { return at::tensor({a, b}).to(at::kBFloat16); };
  const at::Tensor hidden = to_bfloat16(5.0f, 0.0f);
  const at::Tensor result = rms_norm(hidden, to_bfloat16(3.03125f, 1.0f), 0.0);
  EXPECT_EQ(result.scalar_type(), at::kBFloat16);
  EXPECT_EQ(result[0].item().toFloat(), at::tensor({1.4140625f * 3.03125f}).to(at::kBFloat16).item().toFloat());
}

TEST(RmsNorm, LargeBfloat16ValuesDoNotOverflow) {
  const at::Tensor hidden = at::full({4}, 1e30f).to(at::kBFloat16);
  const at::Tensor weight = at::full({4}, 1.0f).to(at::kBFloat16);
  EXPECT_FALSE(rms_norm(hidden / 1e15f, weight, 1e-6).isnan().any().item().toBool());
}

TEST(RmsNorm, RejectsSizesThatDiffer) {
  EXPECT_THROW((void)rms_norm(at::full({2, 4}, 1.0f), at::full({3}, 1.0f), 1e-6), c10::Error);
}

}  // namespace
}  // namespace prm_score
