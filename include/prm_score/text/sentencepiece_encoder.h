// sentencepiece_encoder.h - text to the ids of a `tokenizer.model`: a BPE model by the sentencepiece library, a unigram
// model by unigram_encoder.h.
//
// The library encodes whole texts only, with some hundred bytes of memory per byte of text. Most BPE models allow
// better, because of how byte-pair merges work: the best pair of neighbours is merged first, the leftmost among equals,
// and nothing else counts. From that follow
//
//   cut    where a text's result has a border between two pieces, both sides encoded alone give their part of it;
//   glue   pieces side by side are the result of their text if every two neighbours are that of theirs. (Think of the
//          first merge over a border: it would also have been the next merge for those two neighbours alone.)
//
// So a prefix of a known text followed by another text is encoded from a piece a little before the join:
//
//   known ids     | .. | t1 | t2 | t3 | t4 | .. | tn |            the text they stand for goes on
//   window             | t1 | t2 | u3 | u4 | u5 | .. |            starts at a border, encoded alone, without prefix
//   result        | .. | t1 | t2 | u3 | u4 | u5 | .. |            from the first piece that both have
//
// The joint must not change how user-defined symbols, which are found left to right before any merge, are cut out of
// the known text; no piece that ends less than the longest symbol before the joint is used. A window that shares no
// piece grows, at last to the whole text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/sentencepiece_model.h"
#include "prm_score/text/tokenizer.h"
#include "prm_score/text/unigram_encoder.h"

namespace prm_score {

// Immutable, thread-safe.
class SentencePieceEncoder {
 public:
  // `model` need not outlive it. Throws Error, starting with `file_name`, if the library refuses the model. Silences
  // the library's log, process-wide.
  SentencePieceEncoder(const SentencePieceModel& model, std::string_view file_name);
  ~SentencePieceEncoder();

  // Ids of `text` (valid UTF-8), and ranges in the manner of the library: where pieces begin in the text before
  // normalisation, the end of one being the begin of the next. Bytes of one character are [b, b), .. [b, b), [b, e).
  // Throws Error if the library fails. Memory in proportion to the text, for one block at a time if is_local().
  [[nodiscard]] SourcedIds encode(std::string_view text) const;

  // Whether the model is one for which the above holds: BPE, no normalisation rules, spaces kept, no unused pieces.
  [[nodiscard]] bool is_local() const { return is_local_; }

  // encode(known_text[0:num_bytes] + tail), in which the first `num_shared` ids are known's.
  // `known` = encode(known_text). Time for `tail` and a bounded end of the prefix if is_local() and the prefix does not
  // end in a single long piece, else for the whole string.
  struct Joined {
    int64_t num_shared = 0;
    SourcedIds rest;
  };
  [[nodiscard]] Joined join(const SourcedIds& known, std::string_view known_text, int64_t num_bytes,
                            std::string_view tail) const;

 private:
  struct Library;

  [[nodiscard]] SourcedIds encode_in_blocks(std::string_view text) const;
  [[nodiscard]] bool join_in_window(const SourcedIds& known, std::string_view prefix, std::string_view tail,
                                    int64_t window_bytes, Joined& joined) const;

  enum class WithPrefix { kAsTheModel, kNever };

  [[nodiscard]] SourcedIds encode_whole(std::string_view text) const;
  [[nodiscard]] SourcedIds encode_local(std::string_view text, WithPrefix with_prefix) const;

  std::unique_ptr<const Library> library_;
  std::unique_ptr<const UnigramEncoder> unigram_;  // in place of the library
  bool is_local_;
  bool add_dummy_prefix_;
  int64_t longest_symbol_bytes_ = 0;  // of the user-defined pieces
  std::vector<bool> is_byte_;         // [vocab_size]
};

}  // namespace prm_score
