// sentencepiece_decoder.h - the ids of a `tokenizer.model` back to text.
//
// As SentencePieceProcessor::Decode of version 0.2.3, which has no way to decode all prefixes of one list of ids in
// linear time:
//   piece           its text, U+2581 as a space; the leading one of the whole text is dropped if the model adds or
//                   removes spaces at the front
//   byte pieces     neighbours are joined; each byte that is then part of no valid character becomes U+FFFD
//   control pieces  nothing;    unknown piece: the model's unk_surface
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "prm_score/text/sentencepiece_model.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

// Immutable, thread-safe.
class SentencePieceDecoder {
 public:
  // `model` need not outlive it.
  explicit SentencePieceDecoder(const SentencePieceModel& model);

  // Tokenizer::decode. Throws Error for an id outside the vocabulary.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids) const;

  // Tokenizer::decode_prefixes. Throws Error also for positions that descend or lie outside [0, ids.size()].
  [[nodiscard]] DecodedPrefixes decode_prefixes(std::span<const TokenId> ids, std::span<const int64_t> positions) const;

 private:
  enum class Kind : uint8_t { kText, kMarkedText, kControl, kByte };

  struct Entry {
    Kind kind = Kind::kText;
    uint8_t byte = 0;  // kByte
    std::string text;  // kText; kMarkedText: begins with the space that may be dropped
  };

  // `at_position(n, prefix)` is called for n = 0, 1, .. ids.size().
  template <typename AtPosition>
  std::string walk(std::span<const TokenId> ids, const AtPosition& at_position) const;

  // Appends the text of the byte pieces at ids[begin], .. and returns the index after them.
  template <typename AtPosition>
  size_t append_byte_run(std::span<const TokenId> ids, size_t begin, std::string& text,
                         const AtPosition& at_position) const;

  [[nodiscard]] const Entry& entry(TokenId id) const;

  std::vector<Entry> entries_;  // [vocab_size]
  bool drops_leading_mark_;     // of the first piece with text
  bool drops_leading_marks_;    // of all pieces until there is text
};

}  // namespace prm_score
