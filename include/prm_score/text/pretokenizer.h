// pretokenizer.h - cuts text into the pieces that byte-pair merges never cross, by the split pattern of tokenizer.json.
//
// The pattern runs in PCRE2, but not on UTF-8 and not on PCRE2's own Unicode tables: every code point is first mapped
// to one byte of a small alphabet whose letters are the sets of code points the pattern cannot tell apart (\p{L}
// without the ASCII letters, white space, ...), and the pattern is rewritten over that alphabet. So \p{L} means what
// the pinned Unicode version (unicode.h) says, and matching is byte classes only, which PCRE2's JIT does fast.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace prm_score {

// Thread-safe after construction.
class Pretokenizer {
 public:
  // `pattern`: a regex in the syntax of tokenizer.json's `Split` (Oniguruma). Throws Error naming the construct if it
  // uses one that is not supported. `file_and_field` starts the message.
  Pretokenizer(std::string_view pattern, std::string_view file_and_field);
  ~Pretokenizer();
  Pretokenizer(Pretokenizer&&) noexcept;
  Pretokenizer& operator=(Pretokenizer&&) noexcept;

  // Cuts `text` (valid UTF-8) into its matches and the gaps between them (behaviour `Isolated`): appends the end offset
  // of each piece, in bytes from the start of `text`; the last equals text.size(). Nothing for an empty text. Throws
  // Error if the match limit is exceeded. Linear for the known patterns.
  void split(std::string_view text, std::vector<int64_t>& piece_ends) const;

  // Whether a cut before which this pattern's text is kept, and after which `tail` follows in place of what was there,
  // is felt only from the start of the white-space run that ends at the cut: pieces that end before that run (or before
  // the cut, where there is none) stay the same. True for the patterns of GPT-2, Qwen2 (also Qwen2.5 and Qwen3) and
  // Llama 3, and for Mistral-Nemo's (tekken) if `tail` does not start with a letter or mark: its alternatives look
  // through a whole run of letters for a lower-case one. Proved by a property test. False for any other pattern.
  [[nodiscard]] bool cuts_are_local(std::string_view tail) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace prm_score
