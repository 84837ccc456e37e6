#include "prm_score/text/sentencepiece_model.h"

#include <algorithm>
#include <bitset>
#include <cmath>
#include <unordered_set>

#include "prm_score/error.h"
#include "prm_score/text/protobuf.h"
#include "prm_score/text/sentencepiece_charsmap.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

using Piece = SentencePieceModel::Piece;
using PieceType = SentencePieceModel::PieceType;

// Limits of the library.
constexpr size_t kMaxPieceBytes = 7999;
constexpr size_t kMaxNestedSymbols = 64;  // user-defined pieces that begin one another

constexpr std::string_view kNull("\0", 1);

bool is_found_in_text(PieceType type) {
  return type == PieceType::kNormal || type == PieceType::kUserDefined || type == PieceType::kUnused;
}

bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint decoded = decode_code_point(text, i);
    if (!decoded.is_valid) return false;
    i += decoded.num_bytes;
  }
  return true;
}

// ---------------------------------------------------------------------------------------------------------- parsing

Piece parse_piece(std::string_view message, std::string_view name) {
  Piece piece;
  ProtobufReader reader(message, name);
  while (const auto field = reader.next()) {
    if (field->number == 1) piece.text = reader.as_bytes(*field);
    if (field->number == 2) piece.score = reader.as_float(*field);
    if (field->number == 3) {
      const uint64_t type = reader.as_varint(*field);
      if (type < 1 || type > 6) throw Error(std::string(name) + ".type: expected 1 to 6, got " + std::to_string(type));
      piece.type = static_cast<PieceType>(type);
    }
  }
  return piece;
}

void parse_trainer_spec(std::string_view message, const std::string& name, SentencePieceModel& model) {
  ProtobufReader reader(message, name);
  while (const auto field = reader.next()) {
    if (field->number == 3) {
      const uint64_t type = reader.as_varint(*field);
      if (type != 1 && type != 2) {
        throw Error(name + ".model_type: expected 1 (unigram) or 2 (bpe), got " + std::to_string(type));
      }
      model.type = static_cast<SentencePieceModel::Type>(type);
    }
    if (field->number == 24) model.treat_whitespace_as_suffix = reader.as_varint(*field) != 0;
    if (field->number == 35) model.byte_fallback = reader.as_varint(*field) != 0;
    if (field->number == 44) model.unk_surface = reader.as_bytes(*field);
    if (field->number == 46 && !reader.as_bytes(*field).empty()) model.bos_piece = reader.as_bytes(*field);
  }
}

void parse_normalizer_spec(std::string_view message, const std::string& name, SentencePieceModel& model) {
  ProtobufReader reader(message, name);
  while (const auto field = reader.next()) {
    if (field->number == 2) model.precompiled_charsmap = reader.as_bytes(*field);
    if (field->number == 3) model.add_dummy_prefix = reader.as_varint(*field) != 0;
    if (field->number == 4) model.remove_extra_whitespaces = reader.as_varint(*field) != 0;
    if (field->number == 5) model.escape_whitespaces = reader.as_varint(*field) != 0;
  }
}

void reject_denormalizer(std::string_view message, const std::string& name) {
  ProtobufReader reader(message, name);
  while (const auto field = reader.next()) {
    if (field->number == 2 && !reader.as_bytes(*field).empty()) {
      throw Error(name + ".precompiled_charsmap: expected none (not supported), got " +
                  std::to_string(field->bytes.size()) + " bytes");
    }
  }
}

// --------------------------------------------------------------------------------------------------------- checking

void check_piece(const Piece& piece, const SentencePieceModel& model, const std::string& name) {
  const auto fail = [&](const std::string& what) { throw Error(name + ": " + what); };
  if (piece.text.empty()) fail("expected a text, got an empty one");
  if (piece.text.size() > kMaxPieceBytes)
    fail("expected a text under 8000 bytes, got " + std::to_string(piece.text.size()));
  if (!is_valid_utf8(piece.text)) fail("expected valid UTF-8");
  if (!std::isfinite(piece.score)) fail("score: expected a finite number");
  if (piece.text.find('\0') != std::string::npos && !(piece.text == kNull && model.byte_fallback)) {
    fail("expected no NUL in the text");
  }
  if (piece.type != PieceType::kByte) return;
  if (!model.byte_fallback) fail("byte piece \"" + piece.text + "\", but trainer_spec.byte_fallback is false");
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  const std::string& text = piece.text;
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>' || !is_hex(text[3]) || !is_hex(text[4])) {
    fail("expected a byte piece such as \"<0x41>\", got \"" + text + "\"");
  }
}

void check_pieces(const SentencePieceModel& model, const std::string& file_name) {
  std::unordered_set<std::string_view> texts;
  std::bitset<256> bytes;
  int num_unknown = 0;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    const Piece& piece = model.pieces[id];
    const std::string name = file_name + ": pieces[" + std::to_string(id) + "]";
    check_piece(piece, model, name);
    if (!texts.insert(piece.text).second) throw Error(name + ": \"" + piece.text + "\" is there twice");
    if (piece.type == PieceType::kUnknown) ++num_unknown;
    if (piece.type == PieceType::kByte) bytes.set(SentencePieceModel::byte_value(piece));
  }
  if (num_unknown != 1) {
    throw Error(file_name + ": expected one unknown piece (type 2), got " + std::to_string(num_unknown));
  }
  if (model.byte_fallback && !bytes.all()) {
    throw Error(file_name + ": byte_fallback: expected 256 byte pieces, got " + std::to_string(bytes.count()));
  }
  if (std::ranges::none_of(model.pieces, [](const Piece& piece) { return is_found_in_text(piece.type); })) {
    throw Error(file_name + ": expected pieces of type 1, 4 or 5, got none");
  }
}

// In sorted order the pieces that begin another one come right before it, one inside the next.
void check_nested_symbols(const SentencePieceModel& model, const std::string& file_name) {
  std::vector<std::string_view> symbols, open;
  for (const Piece& piece : model.pieces) {
    if (piece.type == PieceType::kUserDefined) symbols.push_back(piece.text);
  }
  std::ranges::sort(symbols);
  for (const std::string_view symbol : symbols) {
    while (!open.empty() && !symbol.starts_with(open.back())) open.pop_back();
    open.push_back(symbol);
    if (open.size() > kMaxNestedSymbols) {
      throw Error(file_name + ": expected at most 64 user-defined pieces that begin one another, got more");
    }
  }
}

// ------------------------------------------------------------------------------------------------------ serializing

// Version 0.2.3 never gives these pieces for a text; older ones give them, or fail.
bool is_hidden(const Piece& piece, SentencePieceModel::Type model_type) {
  if (piece.type == PieceType::kControl || piece.text == kNull) return true;
  const bool is_one_character = decode_code_point(piece.text, 0).num_bytes == static_cast<int>(piece.text.size());
  return model_type == SentencePieceModel::Type::kBpe && piece.type == PieceType::kUnused && is_one_character;
}

// 0xFF is in no valid UTF-8.
std::string hidden_text(size_t id) { return "\xFF" + std::to_string(id); }

void append_piece(const Piece& piece, std::string& message) {
  std::string fields;
  append_protobuf_bytes(1, piece.text, fields);
  append_protobuf_float(2, piece.score, fields);
  append_protobuf_varint(3, static_cast<uint64_t>(piece.type), fields);
  append_protobuf_bytes(1, fields, message);
}

}  // namespace

std::optional<TokenId> SentencePieceModel::find(std::string_view text) const {
  const auto found = std::ranges::find(pieces, text, &Piece::text);
  if (found == pieces.end()) return std::nullopt;
  return static_cast<TokenId>(found - pieces.begin());
}

uint8_t SentencePieceModel::byte_value(const Piece& piece) {
  return static_cast<uint8_t>(std::stoi(piece.text.substr(3, 2), nullptr, 16));
}

SentencePieceModel parse_sentencepiece_model(std::string_view bytes, std::string_view file_name) {
  const std::string name(file_name);
  SentencePieceModel model;
  ProtobufReader reader(bytes, name);
  while (const auto field = reader.next()) {
    if (field->number == 1) model.pieces.push_back(parse_piece(reader.as_bytes(*field), name + ": pieces"));
    if (field->number == 2) parse_trainer_spec(reader.as_bytes(*field), name + ": trainer_spec", model);
    if (field->number == 3) parse_normalizer_spec(reader.as_bytes(*field), name + ": normalizer_spec", model);
    if (field->number == 5) reject_denormalizer(reader.as_bytes(*field), name + ": denormalizer_spec");
  }
  if (model.pieces.empty()) throw Error(name + ": expected a sentencepiece model, got a file without pieces");
  if (!is_valid_utf8(model.unk_surface)) throw Error(name + ": trainer_spec.unk_surface: expected valid UTF-8");
  check_pieces(model, name);
  check_nested_symbols(model, name);
  if (!model.precompiled_charsmap.empty()) {
    (void)SentencePieceCharsmap(model.precompiled_charsmap, name + ": normalizer_spec.precompiled_charsmap");
  }
  return model;
}

std::string serialize_for_library(const SentencePieceModel& model) {
  std::string message;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    Piece piece = model.pieces[id];
    if (is_hidden(piece, model.type)) piece.text = hidden_text(id);
    append_piece(piece, message);
  }

  std::string trainer_spec;
  append_protobuf_varint(3, static_cast<uint64_t>(model.type), trainer_spec);
  append_protobuf_varint(24, model.treat_whitespace_as_suffix ? 1 : 0, trainer_spec);
  append_protobuf_varint(35, model.byte_fallback ? 1 : 0, trainer_spec);
  append_protobuf_bytes(2, trainer_spec, message);

  std::string normalizer_spec;
  append_protobuf_bytes(2, model.precompiled_charsmap, normalizer_spec);
  append_protobuf_varint(3, model.add_dummy_prefix ? 1 : 0, normalizer_spec);
  append_protobuf_varint(4, model.remove_extra_whitespaces ? 1 : 0, normalizer_spec);
  append_protobuf_varint(5, model.escape_whitespaces ? 1 : 0, normalizer_spec);
  append_protobuf_bytes(3, normalizer_spec, message);
  return message;
}

}  // namespace prm_score
