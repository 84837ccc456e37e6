#include "prm_score/io/rank_statistics.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "prm_score/io/reward_drift.h"

namespace prm_score {
namespace {

TEST(QuantileTest, IsLinearBetweenNeighbours) {
  const std::vector<double> sorted = {1, 2, 10};
  EXPECT_EQ(quantile(sorted, 0), 1);
  EXPECT_EQ(quantile(sorted, 0.5), 2);
  EXPECT_EQ(quantile(sorted, 0.75), 6);
  EXPECT_EQ(quantile(sorted, 1), 10);
  EXPECT_EQ(quantile({3}, 0.3), 3);
}

TEST(RankCorrelationTest, IsSpearmans) {
  EXPECT_NEAR(rank_correlation({1, 2, 3, 4}, {10, 100, 1000, 10000}).value(), 1, 1e-12);
  EXPECT_NEAR(rank_correlation({1, 2, 3, 4}, {4, 3, 2, -100}).value(), -1, 1e-12);
  // By hand: ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4; products of distances 4.5, squares 4.5 and 5.
  EXPECT_NEAR(rank_correlation({1, 2, 2, 3}, {1, 3, 2, 4}).value(), 4.5 / std::sqrt(4.5 * 5), 1e-12);
  EXPECT_EQ(rank_correlation({1, 1, 1}, {1, 2, 3}), std::nullopt);
  EXPECT_EQ(rank_correlation({}, {}), std::nullopt);
}

TEST(NumDiscordantPairsTest, IsTheCountOfAllPairs) {
  std::mt19937 random(3);
  for (const size_t size : {0, 1, 2, 3, 17, 100}) {
    std::vector<double> a(size), b(size);
    for (double& x : a) x = static_cast<double>(random() % 20);  // ties, too
    for (double& x : b) x = static_cast<double>(random() % 20);
    int64_t expected = 0;
    for (size_t i = 0; i < size; ++i) {
      for (size_t j = 0; j < i; ++j) expected += (a[i] - a[j]) * (b[i] - b[j]) < 0 ? 1 : 0;
    }
    EXPECT_EQ(num_discordant_pairs(a, b), expected) << size;
  }
}

TEST(RewardDriftTest, OfFourDocuments) {
  const std::vector<RewardPair> documents = {
      {.place = "1", .id_json = "", .num_chunks = 4, .there = 0, .now = 0.1},
      {.place = "2", .id_json = "\"b\"", .num_chunks = 9, .there = 2, .now = 1.5},
      {.place = "3", .id_json = "", .num_chunks = 3, .there = 2, .now = 2},
      {.place = "4", .id_json = "", .num_chunks = 5, .there = 4, .now = 1},
  };
  const DriftResult result = drift_result(documents);
  const RewardDrift& all = result.all.value();
  EXPECT_EQ(all.num_documents, 4);
  EXPECT_NEAR(all.standard_deviation, std::sqrt(2), 1e-12);
  EXPECT_NEAR(all.mean, 3.6 / 4, 1e-12);
  EXPECT_NEAR(all.percentile_99, 0.5 + 0.97 * 2.5, 1e-12);  // place 2.97 of 0, 0.1, 0.5, 3
  EXPECT_NEAR(all.largest, 3, 1e-12);
  EXPECT_EQ(all.farthest.place, "4");
  EXPECT_EQ(all.num_pairs(), 6);
  EXPECT_EQ(all.num_flips, 2);  // 2 and 4, 3 and 4
  // By hand: ranks 1, 2.5, 2.5, 4 and 1, 3, 4, 2; products of distances 1.5, squares 4.5 and 5.
  EXPECT_NEAR(all.rank_correlation.value(), 1.5 / std::sqrt(4.5 * 5), 1e-12);
  EXPECT_EQ(result.longer.value().num_documents, 3);
}

TEST(RewardDriftTest, OfOneDocumentAndOfNone) {
  const std::vector<RewardPair> one = {{.place = "1", .id_json = "", .num_chunks = 1, .there = 1, .now = 3}};
  const DriftResult result = drift_result(one);
  EXPECT_EQ(result.all.value().standard_deviation, 0);
  EXPECT_EQ(result.all->percentile_99, 2);
  EXPECT_EQ(result.all->rank_correlation, std::nullopt);
  EXPECT_EQ(result.all->num_pairs(), 0);
  EXPECT_EQ(result.longer.has_value(), false);
  EXPECT_EQ(drift_result({}).all.has_value(), false);
}

}  // namespace
}  // namespace prm_score
