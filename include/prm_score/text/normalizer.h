// normalizer.h - normalisation form C (UAX #15), as the `NFC` normaliser of the `tokenizers` package does it: with the
// combining classes and compositions of its Unicode version (unicode.h).
//
//   segment = a code point that leaves what precedes it alone, then those that may not: e, U+0301 -> U+00E9
//
// Text is normalised segment by segment; text without such followers, which is nearly all text, is only looked through.
// Everything here is thread-safe and takes time in proportion to the text, up to a logarithm for long runs of marks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/tokenizer.h"

namespace prm_score {

// A text after normalisation form C, and where it comes from.
struct NormalizedText {
  std::string text;
  // sources[i] = the bytes of the original text that byte i of `text` comes from: one byte if it was copied, whole
  // characters if it was not, widened where marks changed places so that begins and ends never decrease. Every original
  // byte is in some range. Empty if nothing changed (then byte i comes from byte i).
  std::vector<ByteRange> sources;
};

// `text` is valid UTF-8.
[[nodiscard]] std::string normalize_nfc(std::string_view text);
[[nodiscard]] NormalizedText normalize_nfc_with_sources(std::string_view text);

// Whether `code_point` may compose with, or move before, what precedes it, or changes by itself. Where this is false a
// text can be cut before it and both sides normalised alone.
[[nodiscard]] bool may_change_before(char32_t code_point);

}  // namespace prm_score
