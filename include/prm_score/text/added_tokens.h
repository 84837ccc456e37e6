// added_tokens.h - the tokens of tokenizer.json's `added_tokens`: found in the text before anything else is done to it.
//
// Two rounds, as in the reference: tokens with `normalized: false` are looked for in the text as given, the others in
// the normalised text between them. In each round the leftmost match wins, of those at one place the longest, and the
// search goes on behind it, also where the match is then turned down.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/tokenizer.h"

namespace prm_score {

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space behind it
  bool normalized = false;   // looked for, normalised, in the normalised text
  bool special = false;      // plain text under SpecialTokens::kText
};

// A found token with the white space it takes.
struct AddedTokenMatch {
  TokenId id = 0;
  int64_t begin = 0;
  int64_t end = 0;

  bool operator==(const AddedTokenMatch&) const = default;
};

// One round's tokens. Immutable, thread-safe.
class AddedTokenMatcher {
 public:
  // `tokens` are looked for by their `content`. Throws Error if two have the same or one is empty.
  AddedTokenMatcher(std::span<const AddedToken> tokens, SpecialTokens special_tokens);

  // Appends the matches in `text` in order. They may overlap only where one begins inside the white space that the one
  // before has taken.
  void find(std::string_view text, std::vector<AddedTokenMatch>& matches) const;

  // Whether some match reaches over `offset` that would be turned down for being special: the search in the whole text
  // passes over it, a search that begins at `offset` would see its end.
  [[nodiscard]] bool may_pass_over(std::string_view text, size_t offset) const;

  [[nodiscard]] const std::vector<AddedToken>& tokens() const { return tokens_; }
  [[nodiscard]] size_t max_bytes() const { return max_bytes_; }  // of the longest token's content
  [[nodiscard]] bool has_single_word() const;
  [[nodiscard]] bool has_plain_special() const;  // some are special, and plain text

 private:
  // The longest token that is a prefix of `text`; nullptr if none.
  [[nodiscard]] const AddedToken* longest_prefix(std::string_view text) const;
  [[nodiscard]] bool is_accepted(const AddedToken& token, std::string_view text, size_t begin) const;

  std::vector<AddedToken> tokens_;  // ordered by content
  SpecialTokens special_tokens_;
  std::array<bool, 256> is_first_byte_{};
  size_t max_bytes_ = 0;
};

// \w of the reference's matcher (Rust's `regex`): Alphabetic, marks, decimal digits, connectors and join controls.
[[nodiscard]] bool is_word_character(char32_t code_point);

}  // namespace prm_score
