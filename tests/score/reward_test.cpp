#include "prm_score/score/reward.h"

#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

using LogOdds = std::vector<std::optional<float>>;
const std::vector<Chunk> kChunks = {{0, 64}, {64, 128}, {128, 144}};

TEST(MeanLogOdds, EveryChunkCountsTheSame) {
  EXPECT_DOUBLE_EQ(*mean_log_odds(LogOdds{1.0f, 2.0f, 6.0f}, kChunks, LastChunk::kScore), 3.0);
}

TEST(MeanLogOdds, WeightedByLength) {
  // (64 * 1 + 64 * 2 + 16 * 6) / 144
  EXPECT_DOUBLE_EQ(*mean_log_odds(LogOdds{1.0f, 2.0f, 6.0f}, kChunks, LastChunk::kWeight), 2.0);
}

TEST(MeanLogOdds, SkippedChunksAreNotInTheMean) {
  EXPECT_DOUBLE_EQ(*mean_log_odds(LogOdds{std::nullopt, 2.0f, 6.0f}, kChunks, LastChunk::kScore), 4.0);
  EXPECT_DOUBLE_EQ(*mean_log_odds(LogOdds{1.0f, 2.0f, std::nullopt}, kChunks, LastChunk::kDrop), 1.5);
}

TEST(MeanLogOdds, AccumulatesInDouble) {
  // In float32, 2^24 + 1 is 2^24: the ones would be lost.
  EXPECT_DOUBLE_EQ(*mean_log_odds(LogOdds{16777216.0f, 1.0f, 1.0f}, kChunks, LastChunk::kScore), 16777218.0 / 3);
}

TEST(MeanLogOdds, NothingLeft) {
  EXPECT_FALSE(mean_log_odds(LogOdds{std::nullopt, std::nullopt, std::nullopt}, kChunks, LastChunk::kScore));
}

}  // namespace
}  // namespace prm_score
