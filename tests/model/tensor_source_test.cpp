#include "prm_score/model/tensor_source.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(RandomSourceTest, TensorsDependOnTheirNameAndTheSeed) {
  const RandomSource source(1, true, 0), again(1, true, 0), other(2, true, 0);
  const at::Tensor a = source.tensor("a.weight", {300, 200});
  EXPECT_EQ(a.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(a, source.tensor("a.weight", {300, 200})));
  EXPECT_TRUE(at::equal(a, again.tensor("a.weight", {300, 200})));
  EXPECT_FALSE(at::equal(a, source.tensor("b.weight", {300, 200})));
  EXPECT_FALSE(at::equal(a, other.tensor("a.weight", {300, 200})));
  EXPECT_NEAR(a.to(at::kFloat).square().mean().item().toFloat(), 1.0 / 200, 1e-4);
}

TEST(RandomSourceTest, NormsAreAboutOne) {
  const RandomSource source(1, true, 0);
  EXPECT_NEAR(source.tensor("model.norm.weight", {1000}).to(at::kFloat).mean().item().toFloat(), 1.0, 0.01);
  EXPECT_NEAR(source.tensor("q_proj.bias", {1000}).to(at::kFloat).mean().item().toFloat(), 0.0, 0.01);
}

TEST(RandomSourceTest, LargeTensorsGoAroundThePool) {
  const RandomSource source(1, true, 0);
  const at::Tensor large = source.tensor("large", {6000, 3000});
  EXPECT_FALSE(at::equal(large[0], large[5999]));
  EXPECT_NEAR(large[5999].to(at::kFloat).square().mean().item().toFloat(), 1.0 / 3000, 1e-4);
}

TEST(RandomSourceTest, ATiedModelHasNoHead) {
  EXPECT_FALSE(RandomSource(1, false, 0).contains("lm_head.weight"));
  EXPECT_TRUE(RandomSource(1, true, 0).contains("lm_head.weight"));
}

}  // namespace
}  // namespace prm_score
