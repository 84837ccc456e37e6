// sentencepiece_model.h - the contents of a `tokenizer.model`, checked before the sentencepiece library sees them.
//
// The file is one protobuf message (sentencepiece_model.proto of the sentencepiece project). Read here:
//
//   ModelProto
//     1 pieces             repeated { 1 piece: string, 2 score: float, 3 type: enum }    id = position
//     2 trainer_spec       { 3 model_type, 24 treat_whitespace_as_suffix, 35 byte_fallback, 44 unk_surface, 46
//     bos_piece } 3 normalizer_spec    { 2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5
//     escape_whitespaces } 5 denormalizer_spec  { 2 precompiled_charsmap }
//
// The distributions' libraries (0.1.97, 0.2.0) trust the file: a bad one aborts the process, is read out of bounds or
// is reported on stderr. So all they rely on is checked first, and they get the message anew, of just these fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/tokenizer.h"

namespace prm_score {

// U+2581, which stands for a space inside pieces.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

struct SentencePieceModel {
  enum class Type { kUnigram = 1, kBpe = 2 };
  enum class PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

  struct Piece {
    std::string text;  // valid UTF-8, not empty; a kByte piece is `<0x41>`
    float score = 0;   // finite
    PieceType type = PieceType::kNormal;
  };

  Type type = Type::kUnigram;
  std::vector<Piece> pieces;  // [vocab_size], by id
  bool byte_fallback = false;
  bool treat_whitespace_as_suffix = false;
  std::string unk_surface = " \xE2\x81\x87 ";  // what the unknown piece decodes to
  std::string bos_piece = "<s>";

  std::string precompiled_charsmap;  // the normaliser's rules; empty = identity
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;

  // The id whose piece is exactly `text`.
  [[nodiscard]] std::optional<TokenId> find(std::string_view text) const;

  // The value of a kByte piece.
  [[nodiscard]] static uint8_t byte_value(const Piece& piece);
};

// Parses and checks `bytes`. Throws Error, starting with `file_name`, if they are not such a message, or the model is
// of a kind that is not supported (word, char, denormaliser), or breaks a rule of the library.
[[nodiscard]] SentencePieceModel parse_sentencepiece_model(std::string_view bytes, std::string_view file_name);

// The message that makes the distributions' libraries encode as version 0.2.3 does: pieces that 0.2.3 never finds in a
// text (control pieces, a lone NUL, unused single characters) are renamed to something that is in no valid UTF-8. For
// BPE models.
[[nodiscard]] std::string serialize_for_library(const SentencePieceModel& model);

}  // namespace prm_score
