#include "prm_score/score/pair_reward.h"

#include <cmath>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

DocumentReward scored(double reward) {
  DocumentReward document;
  document.reward = reward;
  return document;
}

DocumentReward bad(std::string error) {
  DocumentReward document;
  document.error = std::move(error);
  return document;
}

TEST(MakePairRewardTest, ProbabilityIsTheSigmoidOfTheMargin) {
  const PairReward pair = make_pair_reward(scored(1.5), scored(-0.5));
  EXPECT_EQ(*pair.margin, 2);
  EXPECT_NEAR(*pair.probability, 0.8807970779778823, 1e-15);
  EXPECT_NEAR(*make_pair_reward(scored(-0.5), scored(1.5)).probability, 1 - 0.8807970779778823, 1e-15);
  EXPECT_EQ(*make_pair_reward(scored(3), scored(3)).probability, 0.5);
}

TEST(MakePairRewardTest, LargeMarginsDoNotOverflow) {
  EXPECT_EQ(*make_pair_reward(scored(1e4), scored(-1e4)).probability, 1);
  EXPECT_EQ(*make_pair_reward(scored(-1e4), scored(1e4)).probability, 0);
  EXPECT_NEAR(*make_pair_reward(scored(-700), scored(0)).probability / std::exp(-700.0), 1, 1e-12);
}

TEST(MakePairRewardTest, TheSideThatIsBadIsNamed) {
  EXPECT_EQ(make_pair_reward(bad("text: no tokens"), scored(1)).error, "chosen: no tokens");
  EXPECT_EQ(make_pair_reward(scored(1), bad("text: no tokens")).error, "rejected: no tokens");
  EXPECT_EQ(make_pair_reward(scored(1), bad("log_odds: chunk 0: x")).error, "rejected: log_odds: chunk 0: x");
  EXPECT_FALSE(make_pair_reward(scored(1), bad("x")).margin);
}

TEST(MakePairRewardTest, WarningsOfEitherText) {
  DocumentReward chosen = scored(1), rejected = scored(2);
  chosen.warnings.context_cut = true;
  rejected.warnings.special_tokens = true;
  const PairReward pair = make_pair_reward(chosen, rejected);
  EXPECT_TRUE(pair.warnings.context_cut && pair.warnings.special_tokens);
  EXPECT_FALSE(pair.warnings.template_markers);
}

}  // namespace
}  // namespace prm_score
