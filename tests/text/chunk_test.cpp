#include "prm_score/text/chunk.h"

#include <limits>

#include <gtest/gtest.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

using Chunks = std::vector<Chunk>;

TEST(SplitIntoChunks, OnlyLastChunkIsShort) {
  EXPECT_EQ(split_into_chunks(150, {.chunk_size = 64, .stride = 64}), (Chunks{{0, 64}, {64, 128}, {128, 150}}));
}

TEST(SplitIntoChunks, ExactMultipleHasNoEmptyTail) {
  EXPECT_EQ(split_into_chunks(128, {.chunk_size = 64, .stride = 64}), (Chunks{{0, 64}, {64, 128}}));
}

TEST(SplitIntoChunks, NothingInNothingOut) { EXPECT_TRUE(split_into_chunks(0, {}).empty()); }

TEST(SplitIntoChunks, OneToken) { EXPECT_EQ(split_into_chunks(1, {}), (Chunks{{0, 1}})); }

TEST(SplitIntoChunks, WindowsStopAtTheFirstThatReachesTheEnd) {
  EXPECT_EQ(split_into_chunks(10, {.chunk_size = 4, .stride = 2}), (Chunks{{0, 4}, {2, 6}, {4, 8}, {6, 10}}));
  EXPECT_EQ(split_into_chunks(9, {.chunk_size = 4, .stride = 2}), (Chunks{{0, 4}, {2, 6}, {4, 8}, {6, 9}}));
  EXPECT_EQ(split_into_chunks(3, {.chunk_size = 4, .stride = 1}), (Chunks{{0, 3}}));
}

TEST(SplitIntoChunks, HugeChunkSizeDoesNotOverflow) {
  const int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(split_into_chunks(5, {.chunk_size = huge, .stride = huge}), (Chunks{{0, 5}}));
}

TEST(SplitIntoChunks, RejectsWhatIsOutOfRange) {
  EXPECT_THROW((void)split_into_chunks(-1, {}), Error);
  EXPECT_THROW((void)split_into_chunks(5, {.chunk_size = 0, .stride = 0}), Error);
  EXPECT_THROW((void)split_into_chunks(5, {.chunk_size = 4, .stride = 5}), Error);
  EXPECT_THROW((void)split_into_chunks(5, {.chunk_size = 4, .stride = 0}), Error);
}

}  // namespace
}  // namespace prm_score
