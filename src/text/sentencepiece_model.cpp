#include "prm_score/text/sentencepiece_model.h"

#include <algorithm>
#include <bitset>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "prm_score/error.h"
#include "prm_score/text/protobuf.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

using Piece = SentencePieceModel::Piece;
using PieceType = SentencePieceModel::PieceType;

// Limits of the library.
constexpr size_t kMaxPieceBytes = 7999;
constexpr size_t kMaxNestedSymbols = 64;  // user-defined pieces that begin one another
constexpr size_t kMaxNestedRules = 32;    // normalisation rules that do

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
  if (piece.text.size() > kMaxPieceBytes) fail("expected a text under 8000 bytes, got " + std::to_string(piece.text.size()));
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

// The charsmap: uint32 size of the trie in bytes, the trie (a double array of the darts-clone library), then the
// replacements, each ended by NUL. The library follows the trie's offsets unchecked.
class CharsmapChecker {
 public:
  CharsmapChecker(std::string_view charsmap, const std::string& name) : name_(name) {
    uint32_t trie_bytes = 0;
    if (charsmap.size() < sizeof(trie_bytes)) fail("expected a 4-byte size");
    std::memcpy(&trie_bytes, charsmap.data(), sizeof(trie_bytes));
    charsmap.remove_prefix(sizeof(trie_bytes));
    // Blocks of 256 units keep every child of a node that lies in the array in the array too.
    if (trie_bytes == 0 || trie_bytes % 1024 != 0 || trie_bytes >= charsmap.size()) {
      fail("size of the trie: expected a multiple of 1024 under " + std::to_string(charsmap.size()) + ", got " +
           std::to_string(trie_bytes));
    }
    units_.resize(trie_bytes / sizeof(uint32_t));
    std::memcpy(units_.data(), charsmap.data(), trie_bytes);
    num_replacement_bytes_ = charsmap.size() - trie_bytes;
    if (charsmap.back() != '\0') fail("expected NUL at the end");
  }

  // Visits every node that some text reaches.
  void check() const {
    struct Node {
      size_t id;
      size_t num_rules;  // that end on the way to it
    };
    std::vector<bool> seen(units_.size());
    std::vector<Node> open = {{.id = 0, .num_rules = 0}};
    while (!open.empty()) {
      const auto [id, num_rules] = open.back();
      open.pop_back();
      if (seen[id]) fail("the trie has a loop");
      seen[id] = true;
      const size_t base = id ^ offset(units_[id]);
      if (base >= units_.size()) fail("the trie points outside itself");
      const size_t num_rules_here = num_rules + check_leaf(id, base);
      for (size_t byte = 0; byte < 256; ++byte) {
        if (label(units_[base ^ byte]) == byte) open.push_back({.id = base ^ byte, .num_rules = num_rules_here});
      }
    }
  }

 private:
  static size_t offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
  static uint32_t label(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
  static bool has_leaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }

  // 1 if a rule ends at node `id`.
  size_t check_leaf(size_t id, size_t base) const {
    if (id == 0 || !has_leaf(units_[id])) return 0;
    if ((units_[base] & 0x7FFFFFFF) >= num_replacement_bytes_) fail("a rule points outside the replacements");
    return 1;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(name_ + ": normalizer_spec.precompiled_charsmap: " + what);
  }

  std::string name_;
  std::vector<uint32_t> units_;
  size_t num_replacement_bytes_ = 0;
};

}  // namespace

}  // namespace prm_score
