// text_splitter.h - everything that tokenizer.json does to a text before byte-pair merging.
//
//   text --added tokens as given--> segments --normaliser--> --normalised added tokens--> --split patterns--> pieces
//
// A piece is an added token or a pre-token; each becomes ids on its own.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "prm_score/text/added_tokens.h"
#include "prm_score/text/pretokenizer.h"
#include "prm_score/text/token_table.h"
#include "prm_score/text/tokenizer.h"
#include "prm_score/text/tokenizer_json.h"

namespace prm_score {

struct TextPiece {
  TokenId added_token = TokenTable::kNotFound;  // if found: the piece is this one token
  std::string_view bytes;                       // the normalised bytes; valid during the visit
  ByteRange source;                             // where in the text as given it comes from; {-1, -1} if not asked for
  // [bytes.size()], where each byte comes from. Empty if the normaliser changed nothing (byte i = source.begin + i).
  std::span<const ByteRange> byte_sources;

  [[nodiscard]] bool is_added_token() const { return added_token != TokenTable::kNotFound; }
};

enum class Sources { kAny, kExact };  // kAny: where the normaliser changed something, `source` may be {-1, -1}

// Immutable, thread-safe.
class TextSplitter {
 public:
  enum class Depth { kPieces, kSegments };  // kSegments: the split patterns are left out

  // Throws UnsupportedTokenizer for a split pattern, Error for added tokens that cannot be told apart.
  TextSplitter(const TokenizerJson& json, SpecialTokens special_tokens, Depth depth);

  // Visits the pieces of `text` (valid UTF-8) in order. They cover it without gaps.
  void split(std::string_view text, Sources sources, const std::function<void(const TextPiece&)>& visit) const;

  // Whether there are tails for which what follows a cut is felt only near it; if not, the next three say nothing.
  [[nodiscard]] bool cuts_are_local() const { return cuts_are_local_; }

  // Whether `tail` is one of them: it does not change how what precedes it is normalised, nor how it is split further
  // back than `safe_end`.
  [[nodiscard]] bool leaves_alone(std::string_view tail) const;

  // An offset such that pieces of `text` that end before it are also pieces of text[0:cut] + tail, if `tail` leaves
  // alone what precedes it and the bytes from there to the cut are normalised.
  [[nodiscard]] size_t safe_end(std::string_view text, size_t cut) const;

  // Whether text[offset:] splits as it does in the whole `text`, given that a piece ends at `offset`.
  [[nodiscard]] bool can_resume_at(std::string_view text, size_t offset) const;

  // Whether the normaliser leaves `text` as it is.
  [[nodiscard]] bool is_normalized(std::string_view text) const;

 private:
  using Visitor = std::function<void(const TextPiece&)>;
  struct Segment;

  [[nodiscard]] bool find_out_cuts_are_local() const;
  [[nodiscard]] bool is_normalized_apart(std::string_view tail) const;
  void split_segment(std::string_view text, int64_t offset, Sources sources, const Visitor& visit) const;
  void split_words(const Segment& segment, size_t begin, size_t end, size_t level, const Visitor& visit) const;

  AddedTokenMatcher raw_tokens_;         // looked for in the text as given
  AddedTokenMatcher normalized_tokens_;  // in the normalised text between those
  bool normalizes_to_nfc_;
  std::vector<Pretokenizer> pretokenizers_;
  bool cuts_are_local_ = false;
};

}  // namespace prm_score
