#include "prm_score/text/sentencepiece_decoder.h"

#include "prm_score/error.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

std::string marks_to_spaces(std::string_view piece) {
  std::string text;
  for (size_t i = 0; i < piece.size();) {
    if (piece.substr(i).starts_with(kSpaceMark)) {
      text += ' ';
      i += kSpaceMark.size();
    } else {
      text += piece[i++];
    }
  }
  return text;
}

DecodedPrefix prefix_at(const std::string& text, size_t num_replacements = 0) {
  return {.num_bytes = static_cast<int64_t>(text.size()), .num_replacements = static_cast<int>(num_replacements)};
}

}  // namespace

SentencePieceDecoder::SentencePieceDecoder(const SentencePieceModel& model)
    : drops_leading_mark_(model.add_dummy_prefix || model.remove_extra_whitespaces),
      drops_leading_marks_(model.remove_extra_whitespaces) {
  using PieceType = SentencePieceModel::PieceType;
  entries_.reserve(model.pieces.size());
  for (const SentencePieceModel::Piece& piece : model.pieces) {
    if (piece.type == PieceType::kControl) {
      entries_.push_back({.kind = Kind::kControl, .text = {}});
    } else if (piece.type == PieceType::kByte) {
      entries_.push_back({.kind = Kind::kByte, .byte = SentencePieceModel::byte_value(piece), .text = {}});
    } else if (piece.type == PieceType::kUnknown) {
      entries_.push_back({.kind = Kind::kText, .text = model.unk_surface});
    } else {
      const Kind kind = piece.text.starts_with(kSpaceMark) ? Kind::kMarkedText : Kind::kText;
      entries_.push_back({.kind = kind, .text = marks_to_spaces(piece.text)});
    }
  }
}

std::string SentencePieceDecoder::decode(std::span<const TokenId> ids) const {
  return walk(ids, [](size_t, const DecodedPrefix&) {});
}

DecodedPrefixes SentencePieceDecoder::decode_prefixes(std::span<const TokenId> ids,
                                                      std::span<const int64_t> positions) const {
  DecodedPrefixes decoded;
  decoded.prefixes.reserve(positions.size());
  decoded.text = walk(ids, [&](size_t n, const DecodedPrefix& prefix) {
    while (decoded.prefixes.size() < positions.size() &&
           positions[decoded.prefixes.size()] == static_cast<int64_t>(n)) {
      decoded.prefixes.push_back(prefix);
    }
  });
  if (decoded.prefixes.size() != positions.size()) {
    throw Error("decode_prefixes: expected ascending positions up to " + std::to_string(ids.size()) + ", got " +
                std::to_string(positions[decoded.prefixes.size()]));
  }
  return decoded;
}

template <typename AtPosition>
std::string SentencePieceDecoder::walk(std::span<const TokenId> ids, const AtPosition& at_position) const {
  std::string text;
  bool drops_mark = drops_leading_mark_;
  at_position(0, prefix_at(text));
  for (size_t i = 0; i < ids.size();) {
    const Entry& piece = entry(ids[i]);
    if (piece.kind == Kind::kByte) {
      i = append_byte_run(ids, i, text, at_position);
      continue;
    }
    if (!text.empty()) drops_mark = false;
    if (drops_mark && piece.kind == Kind::kMarkedText) {
      text.append(piece.text, 1);
      drops_mark = drops_leading_marks_;
    } else {
      text += piece.text;
    }
    at_position(++i, prefix_at(text));
  }
  return text;
}

template <typename AtPosition>
size_t SentencePieceDecoder::append_byte_run(std::span<const TokenId> ids, size_t begin, std::string& text,
                                             const AtPosition& at_position) const {
  std::string bytes;
  for (size_t i = begin; i < ids.size() && entry(ids[i]).kind == Kind::kByte; ++i) {
    bytes += static_cast<char>(entry(ids[i]).byte);
  }
  for (size_t i = 0; i < bytes.size();) {
    const DecodedCodePoint decoded = decode_code_point(bytes, i);
    const size_t num_bytes = decoded.is_valid ? decoded.num_bytes : 1;
    // Ids that end inside the character: each of its bytes is then invalid for itself.
    for (size_t k = 1; k < num_bytes; ++k) at_position(begin + i + k, prefix_at(text, k));
    if (decoded.is_valid) {
      text.append(bytes, i, num_bytes);
    } else {
      append_utf8(kReplacementCharacter, text);
    }
    i += num_bytes;
    at_position(begin + i, prefix_at(text));
  }
  return begin + bytes.size();
}

const SentencePieceDecoder::Entry& SentencePieceDecoder::entry(TokenId id) const {
  if (id < 0 || static_cast<size_t>(id) >= entries_.size()) {
    throw Error("tokenizer.model: expected an id under " + std::to_string(entries_.size()) + ", got " +
                std::to_string(id));
  }
  return entries_[id];
}

}  // namespace prm_score
