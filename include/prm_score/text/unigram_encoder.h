// unigram_encoder.h - text to the ids of a unigram `tokenizer.model`.
//
// The most probable segmentation (Kudo 2018, arXiv:1804.10959), as the sentencepiece library finds it in version 0.2.3,
// with the same sums in float32. Not by the library of the distributions: 0.1.97 and 0.2.0 score user-defined pieces
// otherwise, and lose so many digits in long sums that a text of a few ten thousand tokens is cut otherwise in places.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "prm_score/text/piece_trie.h"
#include "prm_score/text/sentencepiece_model.h"
#include "prm_score/text/sentencepiece_normalizer.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

// Immutable, thread-safe.
class UnigramEncoder {
 public:
  // `model` need not outlive it. It is a unigram model.
  explicit UnigramEncoder(const SentencePieceModel& model);

  // As SentencePieceEncoder::encode. Linear time; about 50 bytes of memory per byte of text.
  [[nodiscard]] SourcedIds encode(std::string_view text) const;

 private:
  // The best segmentation of a prefix of the text: its score, and its last piece.
  struct Best {
    float score = 0;
    TokenId id = PieceTrie::kNone;
    int64_t piece_begin = -1;  // -1: none known
  };

  [[nodiscard]] std::vector<Best> best_by_end(std::string_view text) const;
  void offer_pieces(std::string_view text, int64_t begin, std::vector<Best>& best, int64_t& furthest) const;
  void append_unknown(const NormalizedForPieces& normalized, int64_t begin, int64_t end, SourcedIds& encoded) const;

  SentencePieceNormalizer normalizer_;
  PieceTrie trie_;
  std::vector<float> scores_;  // [vocab_size]
  float unknown_score_ = 0;
  TokenId unknown_id_ = 0;
  bool byte_fallback_ = false;
  std::array<TokenId, 256> byte_ids_{};
};

}  // namespace prm_score
