#include "prm_score/io/report_statistics.h"

#include <cmath>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

DocumentReward scored(double reward, int64_t num_tokens, std::vector<std::optional<float>> log_odds) {
  DocumentReward row;
  row.reward = reward;
  row.num_tokens = num_tokens;
  row.num_chunks = std::ssize(log_odds);
  row.log_odds = std::move(log_odds);
  return row;
}

TEST(RunningMomentsTest, AreThoseOfTheDefinition) {
  const std::vector<double> values = {1, 4, 4, -7, 1000.5, 3};
  RunningMoments all, first, second;
  for (size_t i = 0; i < values.size(); ++i) {
    all.add(values[i]);
    (i < 2 ? first : second).add(values[i]);
  }
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / 6;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  first.add(second);
  first.add(RunningMoments{});
  for (const auto& moments : {all, first}) {
    EXPECT_EQ(moments.count, 6);
    EXPECT_NEAR(moments.mean, mean, 1e-9);
    EXPECT_NEAR(moments.standard_deviation(), std::sqrt(squares / 6), 1e-9);
  }
  EXPECT_EQ(RunningMoments{}.standard_deviation(), 0);
}

TEST(MakeHistogram, HasEveryValueInItsBin) {
  std::mt19937 random(7);
  for (const double scale : {1e-6, 1.0, 12345.0, 1e30}) {
    std::vector<double> values;
    for (int i = 0; i < 500; ++i) values.push_back(scale * (static_cast<double>(random()) / 1e9 - 2));
    const auto histogram = make_histogram(values);
    ASSERT_LE(histogram.counts.size(), 50u);
    EXPECT_GE(histogram.counts.size(), 15u);
    std::vector<int64_t> counts(histogram.counts.size());
    for (const double value : values) {
      const double bin = std::floor((value - histogram.begin) / histogram.width);
      ASSERT_TRUE(bin >= 0 && bin < static_cast<double>(counts.size()));
      ++counts[static_cast<size_t>(bin)];
    }
    EXPECT_EQ(histogram.counts, counts);
    EXPECT_NEAR(histogram.begin / histogram.width, std::round(histogram.begin / histogram.width), 1e-6);
  }
}

TEST(MakeHistogram, HoldsOneValueManyTimesAndNone) {
  EXPECT_TRUE(make_histogram({}).counts.empty());
  for (const double value : {0.0, -7.25, 1e30}) {
    const auto histogram = make_histogram({value, value, value});
    EXPECT_EQ(std::accumulate(histogram.counts.begin(), histogram.counts.end(), int64_t{0}), 3);
    EXPECT_GT(histogram.width, 0);
  }
}

TEST(ReportStatisticsTest, CountsRowsAndChunks) {
  ReportStatistics statistics;
  auto row = scored(1, 70, {1.0F, std::nullopt});
  row.warnings.context_cut = true;
  statistics.add(row);
  DocumentReward bad;
  bad.error = "why";
  statistics.add(bad);
  EXPECT_EQ(statistics.counts().num_scored_rows, 1);
  EXPECT_EQ(statistics.counts().num_bad_rows, 1);
  EXPECT_EQ(statistics.counts().num_tokens, 70);
  EXPECT_EQ(statistics.counts().num_chunks, 1);
  EXPECT_EQ(statistics.counts().num_context_cut, 1);
}

TEST(ReportStatisticsTest, PositionsAreMeansByChunkWithoutTheSkipped) {
  ReportStatistics statistics;
  statistics.add(scored(1, 10, {std::nullopt, 1.0F}));
  statistics.add(scored(3, 10, {std::nullopt, 3.0F, 5.0F}));
  const auto bins = statistics.positions();
  ASSERT_EQ(bins.size(), 3u);
  EXPECT_EQ(bins[0].log_odds.count, 0);
  EXPECT_EQ(bins[1].log_odds.mean, 2);
  EXPECT_EQ(bins[1].log_odds.standard_deviation(), 1);
  EXPECT_EQ(bins[2].log_odds.count, 1);
  EXPECT_EQ(bins[2].first, 2);
}

TEST(ReportStatisticsTest, PositionsThatFewReachAreLeftOutAndManyAreGrouped) {
  ReportStatistics statistics;
  for (int i = 0; i < 299; ++i) statistics.add(scored(0, 10, std::vector<std::optional<float>>(150, 1.0F)));
  statistics.add(scored(0, 10, std::vector<std::optional<float>>(1000, 1.0F)));
  const auto bins = statistics.positions();
  ASSERT_EQ(bins.size(), 50u);
  EXPECT_EQ(bins.back().last, 149);
  EXPECT_EQ(bins[1].first, 3);
  EXPECT_EQ(bins[1].log_odds.count, 900);
  EXPECT_EQ(statistics.num_positions(), 1000);
}

TEST(ReportStatisticsTest, LengthsAreQuartilesOfEqualParts) {
  ReportStatistics statistics;
  for (int i = 0; i < 200; ++i) statistics.add(scored(i % 10, 100 + i / 10, {1.0F}));
  const auto bins = statistics.lengths();
  ASSERT_EQ(bins.size(), 20u);
  for (size_t i = 0; i < bins.size(); ++i) {
    EXPECT_EQ(bins[i].count, 10);
    EXPECT_EQ(bins[i].min_tokens, 100 + static_cast<int64_t>(i));
    EXPECT_EQ(bins[i].max_tokens, bins[i].min_tokens);
    EXPECT_EQ(bins[i].median, 4.5);
    EXPECT_EQ(bins[i].quarter, 2.25);
    EXPECT_EQ(bins[i].three_quarters, 6.75);
  }
  ReportStatistics few;
  for (int i = 0; i < 9; ++i) few.add(scored(i, i < 3 ? 7 : 8, {1.0F}));
  ASSERT_EQ(few.lengths().size(), 1u);
  EXPECT_EQ(few.lengths()[0].count, 9);
  EXPECT_TRUE(ReportStatistics().lengths().empty());
}

}  // namespace
}  // namespace prm_score
