// sentencepiece_normalizer.h - what a `tokenizer.model` does to a text before it looks for pieces.
//
// As class Normalizer of the sentencepiece library, version 0.2.3: user-defined pieces are kept as they are, then the
// longest rule of the charsmap applies, else the character is kept; spaces at both ends and repeated ones are removed
// if the model says so; then a space is put in front (or behind) if it says so, and spaces become U+2581.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/piece_trie.h"
#include "prm_score/text/sentencepiece_charsmap.h"
#include "prm_score/text/sentencepiece_model.h"

namespace prm_score {

struct NormalizedForPieces {
  std::string text;
  // [text.size() + 1]: where in the original text the character begins that each byte comes from; the last is where
  // what was used of the original ends.
  std::vector<int64_t> origins;
};

// Immutable, thread-safe.
class SentencePieceNormalizer {
 public:
  // `model` need not outlive it.
  explicit SentencePieceNormalizer(const SentencePieceModel& model);

  // `text` is valid UTF-8.
  [[nodiscard]] NormalizedForPieces normalize(std::string_view text) const;

 private:
  struct Step {
    std::string_view replacement;
    size_t num_bytes = 0;  // of the text
  };
  // What the text's first character, or more, becomes. `text` is not empty.
  [[nodiscard]] Step first_step(std::string_view text) const;

  void remove_trailing_spaces(NormalizedForPieces& normalized, int64_t& used) const;

  PieceTrie user_defined_;
  SentencePieceCharsmap charsmap_;
  bool treat_whitespace_as_suffix_;
  bool add_dummy_prefix_;
  bool remove_extra_whitespaces_;
  std::string_view space_;  // U+2581 or a space
};

}  // namespace prm_score
