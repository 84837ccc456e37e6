#include "prm_score/text/bpe_trunk.h"

#include <algorithm>
#include <cassert>

namespace prm_score {

void encode_piece(const BpeModel& model, const TextPiece& piece, std::vector<TokenId>& ids) {
  if (piece.is_added_token()) {
    ids.push_back(piece.added_token);
  } else {
    model.encode(piece.bytes, ids);
  }
}

BpeTrunk::BpeTrunk(const TextSplitter& splitter, const BpeModel& model, std::string text)
    : splitter_(splitter), model_(model), text_(std::move(text)) {
  assert(splitter.cuts_are_local());
  splitter_.split(text_, Sources::kExact, [this](const TextPiece& piece) { add_piece(piece); });
  if (pieces_overlap_) piece_ends_.clear();
}

void BpeTrunk::add_piece(const TextPiece& piece) {
  encode_piece(model_, piece, ids_);
  const int64_t previous_end = piece_ends_.empty() ? 0 : piece_ends_.back().offset;
  bool is_long_word = !piece.is_added_token() && piece.byte_sources.empty() && model_.is_completable(piece.bytes);
  if (piece.source.begin < previous_end) {
    // Either a token takes white space twice, or a character is in both pieces: no border that a cut could be held to.
    pieces_overlap_ = pieces_overlap_ || piece.byte_sources.empty();
    piece_ends_.pop_back();
    is_long_word = false;
  }
  piece_ends_.push_back({piece.source.end, static_cast<int64_t>(ids_.size()), is_long_word});
}

JoinedIds BpeTrunk::join(int64_t num_bytes, std::string_view tail) const {
  const auto cut = static_cast<size_t>(num_bytes);
  const size_t num_kept = num_kept_pieces(cut, tail);
  const PieceEnd kept = num_kept == 0 ? PieceEnd{} : piece_ends_[num_kept - 1];
  JoinedIds joined{kept.num_ids, {}};
  std::string rest = text_.substr(static_cast<size_t>(kept.offset), cut - static_cast<size_t>(kept.offset));
  rest.append(tail);
  splitter_.split(rest, Sources::kAny, [&](const TextPiece& piece) {
    if (!piece.is_added_token() && piece.source.begin >= 0 && model_.is_completable(piece.bytes)) {
      encode_like_trunk(piece, kept.offset + piece.source.begin, joined.rest);
    } else {
      encode_piece(model_, piece, joined.rest);
    }
  });
  share_more(joined);
  return joined;
}

size_t BpeTrunk::num_kept_pieces(size_t cut, std::string_view tail) const {
  if (!splitter_.leaves_alone(tail)) return 0;
  const auto safe_end = static_cast<int64_t>(splitter_.safe_end(text_, cut));
  const auto first_unsafe = std::ranges::lower_bound(piece_ends_, safe_end, {}, &PieceEnd::offset);
  auto num_kept = static_cast<size_t>(first_unsafe - piece_ends_.begin());
  const auto end_of = [this](size_t num_pieces) { return static_cast<size_t>(piece_ends_[num_pieces - 1].offset); };
  while (num_kept > 0 && !splitter_.can_resume_at(text_, end_of(num_kept))) --num_kept;
  if (num_kept == 0) return 0;
  const size_t begin = end_of(num_kept);
  // How far the rules above reach is counted in normalised bytes: they hold where those are the bytes as given.
  return splitter_.is_normalized(std::string_view(text_).substr(begin, cut - begin)) ? num_kept : 0;
}

void BpeTrunk::encode_like_trunk(const TextPiece& piece, int64_t begin, std::vector<TokenId>& ids) const {
  const auto end = std::ranges::upper_bound(piece_ends_, begin, {}, &PieceEnd::offset);
  const PieceEnd before = end == piece_ends_.begin() ? PieceEnd{} : *(end - 1);
  if (end == piece_ends_.end() || !end->is_long_word || before.offset != begin) {
    encode_piece(model_, piece, ids);
    return;
  }
  const auto word =
      std::string_view(text_).substr(static_cast<size_t>(begin), static_cast<size_t>(end->offset - begin));
  const auto num_equal = static_cast<size_t>(std::ranges::mismatch(word, piece.bytes).in1 - word.begin());
  const size_t first = ids.size();
  size_t num_spelled = 0;
  for (int64_t i = before.num_ids; i < end->num_ids; ++i) {
    const TokenId id = ids_[static_cast<size_t>(i)];
    num_spelled += model_.tokens().bytes(id).size();
    if (num_spelled > num_equal) break;
    ids.push_back(id);
  }
  model_.complete(piece.bytes, first, ids);
}

// A long pre-token that was continued begins with ids of the trunk.
void BpeTrunk::share_more(JoinedIds& joined) const {
  const auto trunk_rest = ids_.begin() + joined.num_shared;
  const auto num_more =
      std::ranges::mismatch(trunk_rest, ids_.end(), joined.rest.begin(), joined.rest.end()).in1 - trunk_rest;
  joined.num_shared += num_more;
  joined.rest.erase(joined.rest.begin(), joined.rest.begin() + num_more);
}

}  // namespace prm_score
