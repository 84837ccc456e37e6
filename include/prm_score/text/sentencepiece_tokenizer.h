// sentencepiece_tokenizer.h - the tokenizer of a `tokenizer.model` (Llama 2, Mistral, Gemma, T5, ..).
//
// The reference is the Python package sentencepiece, version 0.2.3: its Encode, its Decode. What differs from
// `tokenizer.json`: there are no added tokens, so SpecialTokens has no effect and contains_special_token() is never
// true; `<s>` inside a text is text. A model that is not BPE, or that normalises, encodes the whole string at every
// Trunk::join() (sentencepiece_encoder.h says when it need not).
//
//   sentencepiece_model     the file, checked
//   sentencepiece_encoder   text -> ids, by the library
//   sentencepiece_decoder   ids -> text
#pragma once

#include <filesystem>
#include <memory>

#include "prm_score/text/tokenizer.h"

namespace prm_score {

// Reads `tokenizer.model` of a checkpoint folder. BOS: the model's `<s>` if `add_bos_token` in `tokenizer_config.json`
// is true; no such file, no such field or null mean none. Throws Error naming the file and what is wrong: it cannot be
// read, is over 256 MiB, is not a model of a supported kind (sentencepiece_model.h); `add_bos_token` is true but the
// model has no BOS piece; `tokenizer_config.json` is not JSON or `add_bos_token` not a boolean.
//
// SourcedIds of a model that normalises: where one character becomes several and a piece ends among them, a piece that
// began before that character ends there; the character counts as the next piece's.
[[nodiscard]] std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& folder,
                                                                      const TokenizerOptions& options);

}  // namespace prm_score
