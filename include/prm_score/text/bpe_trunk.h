// bpe_trunk.h - a text tokenised by byte-level BPE that answers how its prefixes would be tokenised before other texts.
//
//   text     ....... piece | piece | piece | pie|ce | piece ...
//                          kept ids | tokenised again, with the tail
//                                          ^ cut
//
// Pieces (text_splitter.h) that end well before the cut are the same whatever follows it, so their ids are kept. Inside
// a long pre-token, which may hold the cut, the merges are kept up to about 2 KB before it (bpe_model.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/bpe_model.h"
#include "prm_score/text/text_splitter.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

// Appends the ids of one piece.
void encode_piece(const BpeModel& model, const TextPiece& piece, std::vector<TokenId>& ids);

// Refers to `splitter`, whose cuts must be local, and `model`, which must outlive it. Immutable, thread-safe.
class BpeTrunk final : public Trunk {
 public:
  BpeTrunk(const TextSplitter& splitter, const BpeModel& model, std::string text);

  [[nodiscard]] const std::vector<TokenId>& ids() const override { return ids_; }
  [[nodiscard]] JoinedIds join(int64_t num_bytes, std::string_view tail) const override;

 private:
  // The end of one piece, or of several that cannot be told apart in the text as given.
  struct PieceEnd {
    int64_t offset = 0;         // in text_
    int64_t num_ids = 0;        // up to here
    bool is_long_word = false;  // one pre-token, as given, whose encoding can be continued
  };

  void add_piece(const TextPiece& piece);
  [[nodiscard]] size_t num_kept_pieces(size_t cut, std::string_view tail) const;

  // Appends the ids of `piece`, which begins at `begin` of text_, using those of a long pre-token that begins there
  // too.
  void encode_like_trunk(const TextPiece& piece, int64_t begin, std::vector<TokenId>& ids) const;
  void share_more(JoinedIds& joined) const;

  const TextSplitter& splitter_;
  const BpeModel& model_;
  std::string text_;
  std::vector<TokenId> ids_;
  std::vector<PieceEnd> piece_ends_;  // ascending
  bool pieces_overlap_ = false;       // then none is kept
};

}  // namespace prm_score
