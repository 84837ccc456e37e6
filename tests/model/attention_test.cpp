#include "prm_score/model/attention.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(CausalAttention, ARowSeesItselfAndTheRowsBefore) {
  // Queries of zero weigh all visible keys alike: row i gets the mean of values 0 .. i.
  const at::Tensor value = at::tensor({1.0f, 0.0f, 3.0f, 0.0f, 8.0f, 6.0f}).view({3, 1, 2});
  const at::Tensor result = CausalAttention().attend(0, at::zeros({3, 1, 2}), at::randn({3, 1, 2}), value);
  const at::Tensor expected = at::tensor({1.0f, 0.0f, 2.0f, 0.0f, 4.0f, 2.0f}).view({3, 1, 2});
  EXPECT_TRUE(at::allclose(result, expected, 1e-6, 1e-6)) << result;
}

TEST(CausalAttention, ScoresAreDividedByTheRootOfHeadDim) {
  // Scores of row 1: 4 * ln(3) / sqrt(4) = 2 ln(3) and 0, so weights 9/10 and 1/10.
  const float ln3 = 1.0986123f;
  const at::Tensor query = at::tensor({0.f, 0.f, 0.f, 0.f, 1.f, 1.f, 1.f, 1.f}).view({2, 1, 4});
  const at::Tensor key = at::tensor({ln3, ln3, ln3, ln3, 0.f, 0.f, 0.f, 0.f}).view({2, 1, 4});
  const at::Tensor value = at::tensor({1.f, 0.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f}).view({2, 1, 4});
  const at::Tensor result = CausalAttention().attend(0, query, key, value);
  EXPECT_NEAR(result[1][0][0].item().toDouble(), 0.9, 1e-6);
  EXPECT_NEAR(result[1][0][1].item().toDouble(), 0.1, 1e-6);
}

TEST(CausalAttention, QueryHeadsShareKeyValueHeadsInOrder) {
  const at::Tensor value = at::tensor({1.0f, 1.0f, 2.0f, 2.0f}).view({1, 2, 2});  // one row, 2 key-value heads
  const at::Tensor result = CausalAttention().attend(0, at::zeros({1, 4, 2}), at::zeros({1, 2, 2}), value);
  const at::Tensor expected = at::tensor({1.0f, 1.0f, 1.0f, 1.0f, 2.0f, 2.0f, 2.0f, 2.0f}).view({1, 4, 2});
  EXPECT_TRUE(at::allclose(result, expected, 0, 0)) << result;
}

TEST(CausalAttention, LastRowAloneGetsWhatItGetsAmongAll) {
  const at::Tensor query = at::randn({65, 7, 16});
  const at::Tensor key = at::randn({65, 1, 16});
  const at::Tensor value = at::randn({65, 1, 16});
  const at::Tensor all = CausalAttention().attend(0, query, key, value);
  const at::Tensor last = CausalAttention().attend(0, query.narrow(0, 64, 1), key, value);
  EXPECT_TRUE(at::allclose(last, all.narrow(0, 64, 1), 1e-5, 1e-6));
}

TEST(CausalAttention, RejectsOtherNumbersOfQueries) {
  EXPECT_THROW((void)CausalAttention().attend(0, at::zeros({2, 1, 2}), at::zeros({3, 1, 2}), at::zeros({3, 1, 2})),
               c10::Error);
}

class SelfAttentionTest : public ::testing::Test {
 protected:
  SelfAttentionTest() {
    config_.hidden_size = 12;
    config_.num_attention_heads = 4;
    config_.num_key_value_heads = 2;
    config_.head_dim = 6;
    config_.rms_norm_eps = 1e-6;
    config_.qk_norm = true;
    layer_.qkv_proj = {.weight = at::randn({24 + 2 * 12, 12}), .bias = at::randn({24 + 2 * 12})};
    layer_.o_proj = {.weight = at::randn({12, 24}), .bias = at::Tensor()};
    layer_.q_norm = at::randn({6});
    layer_.k_norm = at::randn({6});
    const at::Tensor frequencies = inverse_frequencies(config_.rope_parameters, config_.head_dim);
    context_ = {.rotary = make_rotary_table(frequencies, at::arange(9, at::kLong), at::kFloat),
                .pattern = &pattern_,
                .config = &config_};
  }

  ModelConfig config_;
  LayerWeights layer_;
  CausalAttention pattern_;
  RowContext context_;
};

TEST_F(SelfAttentionTest, ChosenRowsGetWhatTheyGetAmongAll) {
  const at::Tensor hidden = at::randn({9, 12});
  const at::Tensor all = self_attention(hidden, {}, 0, layer_, context_);
  const at::Tensor last = self_attention(hidden, at::tensor({8}, at::kLong), 0, layer_, context_);
  EXPECT_EQ(all.sizes(), (std::vector<int64_t>{9, 12}));
  EXPECT_TRUE(at::allclose(last, all.narrow(0, 8, 1), 1e-4, 1e-5));
}

TEST_F(SelfAttentionTest, LaterRowsDoNotChangeEarlierOnes) {
  const at::Tensor hidden = at::randn({9, 12});
  const at::Tensor changed = at::cat({hidden.narrow(0, 0, 5), at::randn({4, 12})});
  const at::Tensor before = self_attention(hidden, {}, 0, layer_, context_);
  const at::Tensor after = self_attention(changed, {}, 0, layer_, context_);
  EXPECT_TRUE(at::allclose(before.narrow(0, 0, 5), after.narrow(0, 0, 5), 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(before.narrow(0, 5, 4), after.narrow(0, 5, 4), 1e-2, 1e-2));
}

}  // namespace
}  // namespace prm_score
