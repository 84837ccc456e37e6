// token_table.h - a vocabulary: token id to bytes and bytes to token id, in little memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/tokenizer.h"

namespace prm_score {

// Ids may have gaps. Immutable use is thread-safe.
class TokenTable {
 public:
  static constexpr TokenId kNotFound = -1;
  static constexpr TokenId kMaxTokenId = (1 << 24) - 1;  // far above any real vocabulary; bounds memory

  // Adds a token. Throws Error if the id is out of [0, kMaxTokenId] or taken, or (if `findable`) the bytes are taken.
  // A token that is not findable has bytes to decode to, but `find` does not know it.
  void add(std::string_view bytes, TokenId id, bool findable = true);

  // The id of the token with these bytes, or kNotFound.
  [[nodiscard]] TokenId find(std::string_view bytes) const;

  [[nodiscard]] bool contains(TokenId id) const;

  // Empty if there is no such token. Valid until the next add.
  [[nodiscard]] std::string_view bytes(TokenId id) const;

  [[nodiscard]] int64_t num_tokens() const { return num_tokens_; }
  [[nodiscard]] TokenId end_id() const { return static_cast<TokenId>(spans_.size()); }  // one more than the largest id
  [[nodiscard]] size_t max_token_bytes() const { return max_token_bytes_; }

  // Gives back memory kept for further tokens.
  void shrink_to_fit();

 private:
  struct Span {
    uint32_t offset = 0;
    uint32_t num_bytes = kNoToken;
  };
  // One place of the open-addressing hash table.
  struct Slot {
    uint32_t hash = 0;
    TokenId id = kNotFound;
  };
  static constexpr uint32_t kNoToken = ~uint32_t{0};

  void insert(uint32_t hash, TokenId id);
  void grow();

  std::string arena_;        // the bytes of all tokens
  std::vector<Span> spans_;  // [end_id]
  std::vector<Slot> slots_;  // a power of two, at most half full
  size_t num_slots_used_ = 0;
  int64_t num_tokens_ = 0;
  size_t max_token_bytes_ = 0;
};

}  // namespace prm_score
