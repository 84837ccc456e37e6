// bpe_model.h - byte-pair merging: the bytes of one pre-token to token ids.
//
// The bytes start as one token each; then the neighbouring pair of lowest rank (the leftmost of equals) becomes the
// token it merges to, until no pair of neighbours is in the table. Source: Sennrich et al. 2016 (arXiv:1508.07909), as
// the `tokenizers` package runs it.
//
// What makes long pre-tokens cheap: a token sequence is the encoding of its bytes if and only if every two neighbours
// are the encoding of theirs. For merging acts on each token's bytes alone until some merge crosses a border, and the
// first that does would, in the same order, be made in those two tokens alone. So an encoding can be put together from
// parts if only the pair at each seam is right.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/token_table.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

// Two neighbours that become one token; its place in the list is its rank.
struct BpeMerge {
  TokenId left = 0;
  TokenId right = 0;
  TokenId merged = 0;
};

// Thread-safe after construction.
class BpeModel {
 public:
  // Pre-tokens longer than this are encoded in parts, and can be completed from the encoding of a shorter one.
  static constexpr size_t kLongWordBytes = 4096;

  // The findable tokens of `tokens` are those that spell bytes; `merges` in ascending rank, of a pair that is there
  // twice the last counts; ids must be in the table. `ignore_merges`: a pre-token that is in the vocabulary is that
  // token, whatever its merges give.
  BpeModel(TokenTable tokens, std::span<const BpeMerge> merges, bool ignore_merges);

  // Appends the ids of `word`. Bytes without a token of their own are left out, as the reference does. O(n log n).
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

  // Whether `word` can be completed from a part of another's encoding: a long word, every byte known.
  [[nodiscard]] bool is_completable(std::string_view word) const;

  // `ids[first..]` are the first ids of some encoding and spell the first bytes of `word`: changes and extends them to
  // the encoding of `word`. Touches only the last few KB of them, as a rule. `is_completable(word)` must hold.
  void complete(std::string_view word, size_t first, std::vector<TokenId>& ids) const;

  // Whether `byte` has a token of its own.
  [[nodiscard]] bool knows_byte(unsigned char byte) const { return byte_ids_[byte] != TokenTable::kNotFound; }
  [[nodiscard]] bool knows_all_bytes() const { return knows_all_bytes_; }

  [[nodiscard]] const TokenTable& tokens() const { return tokens_; }

 private:
  struct Merge {
    uint64_t pair = kNoPair;
    uint32_t rank = 0;
    TokenId merged = 0;
  };
  static constexpr uint64_t kNoPair = ~uint64_t{0};
  struct Scratch;

  void add_merge(const BpeMerge& merge, uint32_t rank);
  [[nodiscard]] const Merge* find_merge(TokenId left, TokenId right) const;

  [[nodiscard]] bool encodes_to_itself(TokenId id) const;
  [[nodiscard]] bool is_right_pair(TokenId left, TokenId right) const;
  void merge_word(std::string_view word, std::vector<TokenId>& ids) const;
  void merge_short(std::string_view word, std::vector<TokenId>& ids) const;
  void merge_long(std::string_view word, std::vector<TokenId>& ids) const;
  void push_pair(Scratch& scratch, uint32_t left) const;

  TokenTable tokens_;
  bool ignore_merges_;
  bool knows_all_bytes_ = true;
  std::array<TokenId, 256> byte_ids_{};
  std::vector<Merge> merges_;  // open-addressing hash table, a power of two
  int merges_shift_ = 0;       // 64 - log2 of its size

  // Whether a token's bytes encode to itself, found out when first asked: 0 = not yet, 1 = yes, 2 = no.
  std::unique_ptr<std::atomic<uint8_t>[]> self_encoding_;
};

}  // namespace prm_score
