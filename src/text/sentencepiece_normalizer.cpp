#include "prm_score/text/sentencepiece_normalizer.h"

#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

PieceTrie user_defined_pieces(const SentencePieceModel& model) {
  std::vector<std::pair<std::string, int32_t>> pieces;
  for (const SentencePieceModel::Piece& piece : model.pieces) {
    if (piece.type == SentencePieceModel::PieceType::kUserDefined) pieces.emplace_back(piece.text, 0);
  }
  return PieceTrie(std::move(pieces));
}

void append(std::string_view bytes, int64_t origin, NormalizedForPieces& normalized) {
  normalized.text += bytes;
  normalized.origins.insert(normalized.origins.end(), bytes.size(), origin);
}

}  // namespace

SentencePieceNormalizer::SentencePieceNormalizer(const SentencePieceModel& model)
    : user_defined_(user_defined_pieces(model)),
      treat_whitespace_as_suffix_(model.treat_whitespace_as_suffix),
      add_dummy_prefix_(model.add_dummy_prefix),
      remove_extra_whitespaces_(model.remove_extra_whitespaces),
      space_(model.escape_whitespaces ? kSpaceMark : " ") {
  if (!model.precompiled_charsmap.empty()) {
    charsmap_ = SentencePieceCharsmap(model.precompiled_charsmap, "precompiled_charsmap");
  }
}

SentencePieceNormalizer::Step SentencePieceNormalizer::first_step(std::string_view text) const {
  if (const size_t length = user_defined_.longest_match(text); length > 0) return {text.substr(0, length), length};
  if (const auto rule = charsmap_.longest_match(text)) return {rule->replacement, rule->num_bytes};
  const auto length = static_cast<size_t>(decode_code_point(text, 0).num_bytes);
  return {text.substr(0, length), length};
}

NormalizedForPieces SentencePieceNormalizer::normalize(std::string_view text) const {
  NormalizedForPieces normalized;
  int64_t used = 0;  // bytes of `text`
  const auto rest = [&] { return text.substr(used); };
  while (remove_extra_whitespaces_ && !rest().empty()) {
    const Step step = first_step(rest());
    if (step.replacement != " ") break;
    used += static_cast<int64_t>(step.num_bytes);
  }
  if (rest().empty()) return normalized;

  if (add_dummy_prefix_ && !treat_whitespace_as_suffix_) append(space_, used, normalized);
  bool after_space = remove_extra_whitespaces_;
  while (!rest().empty()) {
    auto [replacement, num_bytes] = first_step(rest());
    while (after_space && replacement.starts_with(' ')) replacement.remove_prefix(1);
    for (const char& c : replacement) append(c == ' ' ? space_ : std::string_view(&c, 1), used, normalized);
    if (!replacement.empty()) after_space = remove_extra_whitespaces_ && replacement.ends_with(' ');
    used += static_cast<int64_t>(num_bytes);
  }
  if (remove_extra_whitespaces_) remove_trailing_spaces(normalized, used);
  if (add_dummy_prefix_ && treat_whitespace_as_suffix_) append(space_, used, normalized);
  normalized.origins.push_back(used);
  return normalized;
}

void SentencePieceNormalizer::remove_trailing_spaces(NormalizedForPieces& normalized, int64_t& used) const {
  while (normalized.text.ends_with(space_)) {
    const size_t length = normalized.text.size() - space_.size();
    used = normalized.origins[length];
    normalized.text.resize(length);
    normalized.origins.resize(length);
  }
}

}  // namespace prm_score
