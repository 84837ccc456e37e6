#include "prm_score/io/pair_summary.h"

#include <cmath>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

PairAccuracy of(int num_right, int num_wrong, int num_ties) {
  PairAccuracy accuracy;
  for (int i = 0; i < num_right; ++i) accuracy.add(0.25);
  for (int i = 0; i < num_wrong; ++i) accuracy.add(-1e-9);
  for (int i = 0; i < num_ties; ++i) accuracy.add(0);
  return accuracy;
}

TEST(PairAccuracyTest, TiesAreHalfRight) {
  EXPECT_EQ(of(2, 1, 0).accuracy(), 2.0 / 3);
  EXPECT_EQ(of(1, 1, 2).accuracy(), 0.5);
  EXPECT_EQ(of(0, 0, 3).accuracy(), 0.5);
  EXPECT_EQ(of(1, 0, 1).num_ties, 1);
  EXPECT_TRUE(std::isnan(PairAccuracy{}.accuracy()));
}

// What Wilson's interval is: the p whose distance from what was found is just z standard deviations of p's own.
TEST(PairAccuracyTest, TheIntervalIsWilsons) {
  for (const auto& found : {of(7, 3, 0), of(1, 0, 0), of(0, 12, 1), of(900, 99, 1), of(4, 4, 0)}) {
    const double n = static_cast<double>(found.num_pairs);
    const auto [low, high] = found.confidence_interval();
    EXPECT_LE(low, found.accuracy());
    EXPECT_GE(high, found.accuracy());
    for (const double p : {low, high}) {
      EXPECT_NEAR(std::pow(found.accuracy() - p, 2), 1.959964 * 1.959964 * p * (1 - p) / n, 1e-7);
    }
    EXPECT_GT(high - low, 1e-3);
  }
}

TEST(PairSummaryTest, SubsetsAreThoseOfPairsThatNameOne) {
  PairSummary summary;
  summary.add(1, "chat");
  summary.add(-1, "chat");
  summary.add(1, "");
  EXPECT_EQ(summary.all.num_pairs, 3);
  ASSERT_EQ(summary.subsets.size(), 1u);
  EXPECT_EQ(summary.subsets.at("chat").accuracy(), 0.5);
}

TEST(PairSummaryTest, BadPairsAreCountedApart) {
  PairSummary summary;
  summary.add(1, "chat");
  summary.add_bad("chat");
  summary.add_bad("code");
  summary.add_bad("");
  EXPECT_EQ(summary.all.num_bad, 3);
  EXPECT_EQ(summary.all.num_pairs, 1);
  ASSERT_EQ(summary.subsets.size(), 2u);
  EXPECT_EQ(summary.subsets.at("chat").num_bad, 1);
  EXPECT_EQ(summary.subsets.at("chat").accuracy(), 1);
  EXPECT_EQ(summary.subsets.at("code").num_bad, 1);
  EXPECT_EQ(summary.subsets.at("code").num_pairs, 0);
}

}  // namespace
}  // namespace prm_score
