// sentencepiece_charsmap.h - the normalisation rules inside a `tokenizer.model` (`precompiled_charsmap`).
//
//   uint32 trie_bytes | trie: uint32 units [trie_bytes / 4] | replacements, each ended by NUL
//
// The trie is a double array as the darts-clone library writes it. A unit holds, from the low end: 8 bits of label (the
// byte that leads to it), 1 bit: a rule ends here, 1 bit: offset is times 256, 22 bits of offset; bit 31 marks a unit
// that holds a rule's value (begin of its replacement) instead. The children of the unit at `id` lie at
// (id ^ offset) ^ byte, its value at id ^ offset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prm_score {

// Immutable, thread-safe.
class SentencePieceCharsmap {
 public:
  // No rules.
  SentencePieceCharsmap() = default;

  // Throws Error, starting with `name`, if any text could lead outside of `bytes`, or if more than 32 rules begin one
  // another (the sentencepiece library follows the offsets unchecked and has room for 32).
  SentencePieceCharsmap(std::string_view bytes, std::string_view name);

  struct Match {
    size_t num_bytes = 0;          // of the text
    std::string_view replacement;  // lives as long as this object
  };
  // The longest rule that `text` begins with.
  [[nodiscard]] std::optional<Match> longest_match(std::string_view text) const;

 private:
  void check_reachable_units(const std::string& name) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace prm_score
