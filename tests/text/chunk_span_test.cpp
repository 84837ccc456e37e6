#include "prm_score/text/chunk_span.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

void expect_span(const ChunkSpan& span, Chunk tokens, Chunk chars, Chunk bytes) {
  EXPECT_EQ((Chunk{span.token_begin, span.token_end}), tokens);
  EXPECT_EQ((Chunk{span.char_begin, span.char_end}), chars);
  EXPECT_EQ((Chunk{span.byte_begin, span.byte_end}), bytes);
}

TEST(ChunkSpans, CountsBytesAndCodePoints) {
  const std::string text = "a\u00e9\u20acz";  // 1 + 2 + 3 + 1 bytes
  const std::vector<ByteRange> sources = {{0, 1}, {1, 3}, {3, 6}, {6, 7}};
  const std::vector<Chunk> chunks = {{0, 2}, {2, 4}};
  const auto spans = chunk_spans(text, sources, chunks);
  ASSERT_EQ(spans.size(), 2u);
  expect_span(spans[0], {0, 2}, {0, 2}, {0, 3});
  expect_span(spans[1], {2, 4}, {2, 4}, {3, 7});
}

TEST(ChunkSpans, CutCharacterIsInBoth) {
  const std::string text = "x\U0001F600y";
  const std::vector<ByteRange> sources = {{0, 1}, {1, 5}, {1, 5}, {5, 6}};
  const auto spans = chunk_spans(text, sources, std::vector<Chunk>{{0, 2}, {2, 4}});
  expect_span(spans[0], {0, 2}, {0, 2}, {0, 5});
  expect_span(spans[1], {2, 4}, {1, 3}, {1, 6});
}

TEST(ChunkSpans, DroppedCharactersLeaveNoGap) {
  const std::string text = "..a..b..";  // no token stands for a dot
  const std::vector<ByteRange> sources = {{2, 3}, {5, 6}};
  const auto spans = chunk_spans(text, sources, std::vector<Chunk>{{0, 1}, {1, 2}});
  expect_span(spans[0], {0, 1}, {0, 5}, {0, 5});
  expect_span(spans[1], {1, 2}, {5, 8}, {5, 8});
}

TEST(ChunkSpans, OverlappingWindows) {
  const std::vector<ByteRange> sources = {{0, 1}, {1, 2}, {2, 3}, {3, 4}};
  const auto spans = chunk_spans("abcd", sources, std::vector<Chunk>{{0, 2}, {1, 3}, {2, 4}});
  expect_span(spans[1], {1, 3}, {1, 3}, {1, 3});
  expect_span(spans[2], {2, 4}, {2, 4}, {2, 4});
}

}  // namespace
}  // namespace prm_score
