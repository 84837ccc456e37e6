#include "prm_score/io/shaded_text.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

constexpr int64_t kAll = 1'000'000;

// Of ASCII text: characters are bytes.
ChunkSpan span(int64_t begin, int64_t end) { return {begin, end, begin, end, begin, end}; }

std::string joined(const ShadedText& shaded) {
  std::string text;
  for (const auto& piece : shaded.pieces) text += piece.text;
  return text;
}

TEST(ShadeText, EachChunkIsAPiece) {
  const auto shaded = shade_text("abcdefg", {span(0, 3), span(3, 7)}, kAll);
  ASSERT_EQ(shaded.pieces.size(), 2u);
  EXPECT_EQ(shaded.pieces[0].text, "abc");
  EXPECT_EQ(shaded.pieces[1].text, "defg");
  EXPECT_EQ(shaded.pieces[1].first_chunk, 1);
  EXPECT_EQ(shaded.pieces[1].end_chunk, 2);
  EXPECT_FALSE(shaded.overlaps);
  EXPECT_EQ(shaded.num_left_out, 0);
  EXPECT_EQ(shaded.why_not, "");
}

// Held against each byte on its own: the chunks of its piece are those whose span covers it.
TEST(ShadeText, WindowsThatOverlapMakePiecesOfSeveralChunks) {
  const std::string text = "abcdefghijklmnopqrst";
  const std::vector<ChunkSpan> spans = {span(0, 8), span(2, 10), span(4, 12), span(6, 14), span(6, 20)};
  const auto shaded = shade_text(text, spans, kAll);
  EXPECT_TRUE(shaded.overlaps);
  EXPECT_EQ(joined(shaded), text);
  int64_t offset = 0;
  for (const auto& piece : shaded.pieces) {
    for (size_t i = 0; i < piece.text.size(); ++i, ++offset) {
      for (int64_t chunk = 0; chunk < 5; ++chunk) {
        const auto& covered = spans[static_cast<size_t>(chunk)];
        EXPECT_EQ(piece.first_chunk <= chunk && chunk < piece.end_chunk,
                  covered.byte_begin <= offset && offset < covered.byte_end)
            << offset << " " << chunk;
      }
    }
  }
  EXPECT_EQ(offset, 20);
}

TEST(ShadeText, ACharacterThatABorderCutsIsInBothAndNoWindow) {
  const std::string text = "a\u6771b";  // 1, 3 and 1 bytes
  const std::vector<ChunkSpan> spans = {{0, 2, 0, 2, 0, 4}, {2, 4, 1, 3, 1, 5}};
  const auto shaded = shade_text(text, spans, kAll);
  ASSERT_EQ(shaded.pieces.size(), 3u);
  EXPECT_EQ(shaded.pieces[1].text, "\u6771");
  EXPECT_EQ(shaded.pieces[1].first_chunk, 0);
  EXPECT_EQ(shaded.pieces[1].end_chunk, 2);
  EXPECT_FALSE(shaded.overlaps);
}

TEST(ShadeText, AChunkWithoutTextIsNoPiece) {
  const auto shaded = shade_text("ab", {span(0, 1), span(1, 1), span(1, 2)}, kAll);
  ASSERT_EQ(shaded.pieces.size(), 2u);
  EXPECT_EQ(shaded.pieces[1].text, "b");
  EXPECT_EQ(shaded.pieces[1].end_chunk, 3);
}

TEST(ShadeText, CutsLongTextsBetweenCharacters) {
  const std::string text = "\u00e4\u00e4\u00e4\u00e4\u00e4";  // 10 bytes
  const std::vector<ChunkSpan> spans = {{0, 1, 0, 2, 0, 4}, {1, 2, 2, 4, 4, 8}, {2, 3, 4, 5, 8, 10}};
  const auto shaded = shade_text(text, spans, 3);
  ASSERT_EQ(shaded.pieces.size(), 2u);
  EXPECT_EQ(joined(shaded), "\u00e4\u00e4\u00e4");
  EXPECT_EQ(shaded.num_left_out, 2);
  EXPECT_EQ(shade_text(text, spans, 5).num_left_out, 0);
}

TEST(ShadeText, SaysWhyAnotherTextIsNotShaded) {
  const std::vector<ChunkSpan> spans = {{0, 1, 0, 2, 0, 3}};  // of "\u00e4b"
  EXPECT_EQ(shade_text("\u00e4b", spans, kAll).why_not, "");
  for (const char* text : {"", "\u00e4", "\u00e4bc"}) {
    const auto shaded = shade_text(text, spans, kAll);
    EXPECT_TRUE(shaded.pieces.empty());
    EXPECT_NE(shaded.why_not.find("bytes, but the row's chunks cover 3"), std::string::npos) << shaded.why_not;
  }
  EXPECT_NE(shade_text("abc", spans, kAll).why_not.find("3 characters, but the row's chunks cover 2"),
            std::string::npos);
  EXPECT_NE(shade_text("\u00e4b", {{0, 1, 0, 1, 0, 1}, {1, 2, 1, 2, 1, 3}}, kAll).why_not.find("inside characters"),
            std::string::npos);
  EXPECT_NE(shade_text("abcd", {span(0, 2), span(3, 4)}, kAll).why_not.find("leave some out"), std::string::npos);
  const std::vector<ChunkSpan> two = {{0, 1, 0, 2, 0, 3}, {1, 2, 2, 4, 3, 5}};  // of "\u00e4bcd"
  EXPECT_EQ(shade_text("\u00e4bcd", two, kAll).why_not, "");
  EXPECT_NE(shade_text("bcd\u00e4", two, kAll).why_not.find("up to byte 3 are not as many"), std::string::npos);
  EXPECT_EQ(shade_text("abc", {}, kAll).why_not, "the row has no spans");
}

TEST(Shorten, CutsBetweenCharactersAndSaysSo) {
  EXPECT_EQ(shorten("abc", 3), "abc");
  EXPECT_EQ(shorten("abcd", 3), "abc\u2026");
  EXPECT_EQ(shorten("\u00e4\u6771x", 2), "\u00e4\u6771\u2026");
  EXPECT_EQ(shorten("", 0), "");
}

}  // namespace
}  // namespace prm_score
