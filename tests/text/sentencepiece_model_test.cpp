#include "prm_score/text/sentencepiece_model.h"

#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "prm_score/error.h"
#include "prm_score/text/protobuf.h"
#include "prm_score/text/sentencepiece_charsmap.h"

namespace prm_score {
namespace {

using PieceType = SentencePieceModel::PieceType;

std::string piece(std::string_view text, PieceType type = PieceType::kNormal, float score = -1) {
  std::string fields, message;
  append_protobuf_bytes(1, text, fields);
  append_protobuf_float(2, score, fields);
  append_protobuf_varint(3, static_cast<uint64_t>(type), fields);
  append_protobuf_bytes(1, fields, message);
  return message;
}

// A sub-message of one number.
std::string spec(uint64_t spec_number, uint64_t field_number, uint64_t value) {
  std::string fields, message;
  append_protobuf_varint(field_number, value, fields);
  append_protobuf_bytes(spec_number, fields, message);
  return message;
}

std::string charsmap_spec(uint64_t spec_number, std::string_view charsmap) {
  std::string fields, message;
  append_protobuf_bytes(2, charsmap, fields);
  append_protobuf_bytes(spec_number, fields, message);
  return message;
}

const std::string kUnknown = piece("<unk>", PieceType::kUnknown);
const std::string kBpe = spec(2, 3, 2);

std::string error_of(const std::string& bytes) {
  try {
    (void)parse_sentencepiece_model(bytes, "m");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ParseSentencePieceModel, ReadsPiecesAndTheFieldsThatCount) {
  const auto model = parse_sentencepiece_model(
      kUnknown + piece("a", PieceType::kUserDefined, 0) + kBpe + spec(2, 24, 1) + spec(3, 3, 0) + spec(3, 4, 0), "m");
  EXPECT_EQ(model.type, SentencePieceModel::Type::kBpe);
  ASSERT_EQ(model.pieces.size(), 2u);
  EXPECT_EQ(model.pieces[1].text, "a");
  EXPECT_EQ(model.pieces[1].type, PieceType::kUserDefined);
  EXPECT_TRUE(model.treat_whitespace_as_suffix);
  EXPECT_FALSE(model.add_dummy_prefix);
  EXPECT_FALSE(model.remove_extra_whitespaces);
  EXPECT_TRUE(model.escape_whitespaces);  // not given: the schema's default
  EXPECT_EQ(model.find("a"), 1);
  EXPECT_EQ(model.find("b"), std::nullopt);
}

TEST(ParseSentencePieceModel, SaysWhatIsWrongWithAPiece) {
  EXPECT_EQ(error_of(kUnknown + piece("")), "m: pieces[1]: expected a text, got an empty one");
  EXPECT_EQ(error_of(kUnknown + piece("\xFF")), "m: pieces[1]: expected valid UTF-8");
  EXPECT_EQ(error_of(kUnknown + piece("a") + piece("a")), "m: pieces[2]: \"a\" is there twice");
  EXPECT_EQ(error_of(kUnknown + piece("a", PieceType::kNormal, std::numeric_limits<float>::quiet_NaN())),
            "m: pieces[1]: score: expected a finite number");
  EXPECT_EQ(error_of(kUnknown + piece(std::string_view("a\0", 2))), "m: pieces[1]: expected no NUL in the text");
  EXPECT_EQ(error_of(kUnknown + piece(std::string(8000, 'a'))),
            "m: pieces[1]: expected a text under 8000 bytes, got 8000");
  EXPECT_EQ(error_of(kUnknown + piece("a", static_cast<PieceType>(7))), "m: pieces.type: expected 1 to 6, got 7");
}

TEST(ParseSentencePieceModel, ByteFallbackTakesAll256Bytes) {
  EXPECT_EQ(error_of(kUnknown + piece("<0x41>", PieceType::kByte)),
            "m: pieces[1]: byte piece \"<0x41>\", but trainer_spec.byte_fallback is false");
  EXPECT_EQ(error_of(kUnknown + piece("<0x4g>", PieceType::kByte) + spec(2, 35, 1)),
            "m: pieces[1]: expected a byte piece such as \"<0x41>\", got \"<0x4g>\"");
  EXPECT_EQ(error_of(kUnknown + piece("<0x41>", PieceType::kByte) + spec(2, 35, 1)),
            "m: byte_fallback: expected 256 byte pieces, got 1");
}

TEST(ParseSentencePieceModel, RejectsWhatIsNotSupported) {
  EXPECT_EQ(error_of(piece("a")), "m: expected one unknown piece (type 2), got 0");
  EXPECT_EQ(error_of(kUnknown + piece("?", PieceType::kUnknown)), "m: expected one unknown piece (type 2), got 2");
  EXPECT_EQ(error_of(kUnknown), "m: expected pieces of type 1, 4 or 5, got none");
  EXPECT_EQ(error_of(kUnknown + piece("a") + spec(2, 3, 3)),
            "m: trainer_spec.model_type: expected 1 (unigram) or 2 (bpe), got 3");
  EXPECT_EQ(error_of(kUnknown + piece("a") + charsmap_spec(5, "x")),
            "m: denormalizer_spec.precompiled_charsmap: expected none (not supported), got 1 bytes");
}

// The library has room for 64 matches at one place.
TEST(ParseSentencePieceModel, RejectsTooManyNestedUserDefinedPieces) {
  std::string bytes = kUnknown;
  for (size_t n = 1; n <= 64; ++n) bytes += piece(std::string(n, 'a'), PieceType::kUserDefined);
  EXPECT_EQ(error_of(bytes), "no error");
  bytes += piece(std::string(65, 'a'), PieceType::kUserDefined);
  EXPECT_EQ(error_of(bytes), "m: expected at most 64 user-defined pieces that begin one another, got more");
}

TEST(ParseSentencePieceModel, RejectsBytesThatAreNoSuchMessage) {
  EXPECT_EQ(error_of(""), "m: expected a sentencepiece model, got a file without pieces");
  EXPECT_EQ(error_of(kUnknown.substr(0, 6)), "m: cut short or not a protobuf message: expected 14 more bytes, got 4");
  EXPECT_EQ(error_of("\x0B"), "m: not a protobuf message: expected wire type 0, 1, 2 or 5, got 3");
  EXPECT_EQ(error_of(std::string(2, '\0')), "m: not a protobuf message: field number 0");
  EXPECT_EQ(error_of(std::string(11, '\xFF')), "m: not a protobuf message: a number of more than 10 bytes");
  EXPECT_EQ(error_of(spec(1, 1, 5)), "m: pieces: field 1: expected wire type 2, got 0");
}

// A trie of one rule, "a" -> "b", made by hand: the root's children start at 0 ^ 1, so "a" lies at 1 ^ 0x61 = 0x60; its
// value at 0x60 ^ 2 = 0x62.
struct Trie {
  std::vector<uint32_t> units = std::vector<uint32_t>(256, 0xFF);  // 0xFF: no text leads there
  std::string replacements = std::string("b\0", 2);

  Trie() {
    units[0] = 1 << 10;
    units[0x60] = 2 << 10 | 1 << 8 | 'a';
    units[0x62] = 1U << 31 | 0;
  }

  std::string bytes() const {
    const auto trie_bytes = static_cast<uint32_t>(units.size() * sizeof(uint32_t));
    std::string bytes(reinterpret_cast<const char*>(&trie_bytes), sizeof(trie_bytes));
    bytes.append(reinterpret_cast<const char*>(units.data()), trie_bytes);
    return bytes + replacements;
  }
};

std::string charsmap_error(const std::string& bytes) {
  try {
    (void)SentencePieceCharsmap(bytes, "m");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(SentencePieceCharsmap, FindsTheLongestRule) {
  const SentencePieceCharsmap charsmap(Trie().bytes(), "m");
  const auto match = charsmap.longest_match("abc");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->num_bytes, 1u);
  EXPECT_EQ(match->replacement, "b");
  EXPECT_FALSE(charsmap.longest_match("b"));
  EXPECT_FALSE(charsmap.longest_match(""));
  EXPECT_FALSE(SentencePieceCharsmap().longest_match("a"));
}

TEST(SentencePieceCharsmap, RejectsWhatWouldBeReadOutOfBounds) {
  EXPECT_EQ(charsmap_error("abc"), "m: expected a 4-byte size");
  EXPECT_EQ(charsmap_error(Trie().bytes().substr(0, 900)),
            "m: size of the trie: expected a multiple of 1024 under 896, got 1024");
  Trie no_end;
  no_end.replacements = "b";
  EXPECT_EQ(charsmap_error(no_end.bytes()), "m: expected NUL at the end");
  Trie outside;
  outside.units[0x60] = 1000 << 10 | 'a';
  EXPECT_EQ(charsmap_error(outside.bytes()), "m: the trie points outside itself");
  Trie far_value;
  far_value.units[0x62] = 1U << 31 | 2;
  EXPECT_EQ(charsmap_error(far_value.bytes()), "m: a rule points outside the replacements");
  Trie loop;  // a, aa, aaa, ..: the children of "a" start where those of the root do
  loop.units[0x60] = (0x60 ^ 1) << 10 | 1 << 8 | 'a';
  loop.units[1] = 1U << 31 | 0;
  EXPECT_EQ(charsmap_error(loop.bytes()), "m: expected at most 32 rules that begin one another, got more");
}

TEST(SerializeForLibrary, HidesPiecesThatNoTextMayGive) {
  SentencePieceModel model;
  model.type = SentencePieceModel::Type::kBpe;
  model.add_dummy_prefix = false;
  model.pieces = {{"<unk>", 0, PieceType::kUnknown},
                  {"x", 0, PieceType::kControl},
                  {"y", 0, PieceType::kUnused},
                  {"yz", 0, PieceType::kUnused},
                  {"a", -1, PieceType::kNormal}};
  const std::string bytes = serialize_for_library(model);
  EXPECT_EQ(bytes.find(piece("x", PieceType::kControl, 0)), std::string::npos);
  EXPECT_NE(bytes.find(piece("\xFF"
                             "1",
                             PieceType::kControl, 0)),
            std::string::npos);
  EXPECT_NE(bytes.find(piece("\xFF"
                             "2",
                             PieceType::kUnused, 0)),
            std::string::npos);
  EXPECT_NE(bytes.find(piece("yz", PieceType::kUnused, 0)), std::string::npos);
  EXPECT_NE(bytes.find(piece("a")), std::string::npos);
}

}  // namespace
}  // namespace prm_score
