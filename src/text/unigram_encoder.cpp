#include "prm_score/text/unigram_encoder.h"

#include <algorithm>
#include <limits>

namespace prm_score {
namespace {

using PieceType = SentencePieceModel::PieceType;

constexpr float kUnknownPenalty = 10.0F;
constexpr float kLargestScore = 100000.0F;  // above it the sums start anew from 0

// Pieces that are found in texts. Unused ones are not, nor is a lone NUL (only there beside byte pieces).
PieceTrie found_pieces(const SentencePieceModel& model) {
  std::vector<std::pair<std::string, int32_t>> found;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceModel::Piece& piece = model.pieces[id];
    const bool is_found = piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined;
    if (is_found && piece.text[0] != '\0') found.emplace_back(piece.text, static_cast<int32_t>(id));
  }
  return PieceTrie(std::move(found));
}

// Longer ones win over the same bytes in several pieces.
float user_defined_score(size_t num_bytes) { return static_cast<float>(0.1 * (static_cast<int>(num_bytes) - 1)); }

// By the first byte, as the reference does.
int64_t character_bytes(std::string_view text, int64_t begin) {
  const auto first = static_cast<uint8_t>(text[begin]);
  const int64_t num_bytes = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return std::min(num_bytes, static_cast<int64_t>(text.size()) - begin);
}

}  // namespace

UnigramEncoder::UnigramEncoder(const SentencePieceModel& model)
    : normalizer_(model), trie_(found_pieces(model)), byte_fallback_(model.byte_fallback) {
  float min_score = std::numeric_limits<float>::max();
  scores_.reserve(model.pieces.size());
  for (const SentencePieceModel::Piece& piece : model.pieces) {
    const auto id = static_cast<TokenId>(scores_.size());
    const bool is_user_defined = piece.type == PieceType::kUserDefined;
    scores_.push_back(is_user_defined ? user_defined_score(piece.text.size()) : piece.score);
    if (piece.type == PieceType::kNormal) min_score = std::min(min_score, piece.score);
    if (piece.type == PieceType::kUnknown) unknown_id_ = id;
    if (piece.type == PieceType::kByte) byte_ids_[SentencePieceModel::byte_value(piece)] = id;
  }
  unknown_score_ = min_score - kUnknownPenalty;
}

SourcedIds UnigramEncoder::encode(std::string_view text) const {
  const NormalizedForPieces normalized = normalizer_.normalize(text);
  const std::vector<Best> best = best_by_end(normalized.text);
  std::vector<int64_t> ends;
  for (auto end = static_cast<int64_t>(normalized.text.size()); end > 0; end = best[end].piece_begin)
    ends.push_back(end);
  std::ranges::reverse(ends);

  SourcedIds encoded;
  int64_t begin = 0;
  bool after_unknown = false;
  for (const int64_t end : ends) {
    const bool is_unknown = best[end].id == unknown_id_;
    if (is_unknown && byte_fallback_) {
      append_unknown(normalized, begin, end, encoded);
    } else if (is_unknown && after_unknown) {
      encoded.sources.back().end = normalized.origins[end];  // one id for neighbours
    } else {
      encoded.ids.push_back(best[end].id);
      encoded.sources.push_back({.begin = normalized.origins[begin], .end = normalized.origins[end]});
    }
    after_unknown = is_unknown;
    begin = end;
  }
  return encoded;
}

// One id per byte; only the last has a range, as the library has it.
void UnigramEncoder::append_unknown(const NormalizedForPieces& normalized, int64_t begin, int64_t end,
                                    SourcedIds& encoded) const {
  const int64_t origin = normalized.origins[begin];
  for (int64_t i = begin; i < end; ++i) {
    encoded.ids.push_back(byte_ids_[static_cast<uint8_t>(normalized.text[i])]);
    encoded.sources.push_back({.begin = origin, .end = i + 1 < end ? origin : normalized.origins[end]});
  }
}

// Viterbi, forwards: best[end] for every end of a character.
std::vector<UnigramEncoder::Best> UnigramEncoder::best_by_end(std::string_view text) const {
  std::vector<Best> best(text.size() + 1);
  int64_t furthest = 0;  // end of the longest piece offered so far
  for (int64_t begin = 0; begin < static_cast<int64_t>(text.size()); begin += character_bytes(text, begin)) {
    if (const float score = best[begin].score; score < -kLargestScore || score > kLargestScore) {
      for (int64_t i = begin; i <= furthest; ++i) {
        if (i == begin || best[i].piece_begin != -1) best[i].score -= score;
      }
      best[begin].score = 0;
    }
    offer_pieces(text, begin, best, furthest);
  }
  return best;
}

void UnigramEncoder::offer_pieces(std::string_view text, int64_t begin, std::vector<Best>& best,
                                  int64_t& furthest) const {
  const float score_before = best[begin].score;
  const int64_t character_end = begin + character_bytes(text, begin);
  const auto offer = [&](int64_t end, TokenId id, float score) {
    furthest = std::max(furthest, end);
    const float total = score + score_before;
    if (best[end].piece_begin == -1 || total > best[end].score) best[end] = {total, id, begin};
  };
  bool has_character = false;
  uint32_t node = PieceTrie::kRoot;
  for (auto end = begin; end < static_cast<int64_t>(text.size()) && trie_.advance(node, text[end]);) {
    ++end;
    const TokenId id = trie_.value(node);
    if (id == PieceTrie::kNone) continue;
    offer(end, id, scores_[id]);
    if (end == character_end) has_character = true;
  }
  if (!has_character) offer(character_end, unknown_id_, unknown_score_);
}

}  // namespace prm_score
