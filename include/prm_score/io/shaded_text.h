// shaded_text.h - a document's text cut where its chunks begin and end, so that each piece can be shaded.
//
//   text      The committee met twice in March
//   chunk 0   ^^^^^^^^^^^^^^^^^^
//   chunk 1            ^^^^^^^^^^^^^^^^^^^^^^           windows that overlap, or a character that a border cuts
//   pieces    000000000111111111222222222222            of chunks [0, 1), [0, 2), [1, 2)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/document.h"

namespace prm_score {

// A piece of text and the chunks that it is part of, [first_chunk, end_chunk): one, but more where windows overlap.
struct TextPiece {
  std::string text;
  int64_t first_chunk = 0, end_chunk = 0;
};

struct ShadedText {
  std::vector<TextPiece> pieces;  // in order; empty if there is nothing to shade
  int64_t num_left_out = 0;       // code points behind the pieces, cut off for their number
  std::string why_not;            // why there is nothing to shade, for people; empty if there is

  bool overlaps = false;  // some piece of more than one character is part of several chunks: windows
};

// The first `max_chars` code points of `text` (valid UTF-8) in pieces. `spans`: as RewardRow has them. Where they do
// not fit the text (they cover it without gap, borders lie between characters, and each chunk has its number of them)
// it says so and gives no piece; any other text of these lengths fits. Pure, thread-safe.
[[nodiscard]] ShadedText shade_text(std::string_view text, const std::vector<ChunkSpan>& spans, int64_t max_chars);

// The first `max_chars` code points of valid UTF-8, and "..." if there are more (as one character, U+2026).
[[nodiscard]] std::string shorten(std::string_view text, int64_t max_chars);

}  // namespace prm_score
