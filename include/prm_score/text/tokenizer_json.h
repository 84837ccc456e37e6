// tokenizer_json.h - reads a byte-level BPE `tokenizer.json` and checks that all of it is understood.
//
//   {"added_tokens": [{"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}, ..],
//    "normalizer":     null | NFC | Sequence of NFC
//    "pre_tokenizer":  ByteLevel | Sequence of [Split (Isolated), .., ByteLevel]
//    "post_processor": null | ByteLevel | TemplateProcessing | Sequence of those
//    "decoder":        ByteLevel | Sequence of [ByteLevel]
//    "model": {"type": "BPE", "vocab": {token: id}, "merges": ["a b" or ["a", "b"], ..], "ignore_merges", ..}}
//
// Source of the format: the `tokenizers` package. `truncation` and `padding` are not looked at: nothing here truncates.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/error.h"
#include "prm_score/text/added_tokens.h"
#include "prm_score/text/bpe_model.h"
#include "prm_score/text/token_table.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

// A well-formed tokenizer.json of another kind: a component or flag that is not supported. The message names it.
class UnsupportedTokenizer : public Error {
 public:
  using Error::Error;
};

// A regex at whose matches text is split, and where the file says so (`tokenizer.json: pre_tokenizer..pattern`).
struct SplitRule {
  std::string regex;
  std::string file_and_field;
};

// What the file says, checked.
struct TokenizerJson {
  TokenTable tokens;             // of the model; those that spell bytes are findable by their bytes
  std::vector<BpeMerge> merges;  // in ascending rank
  bool ignore_merges = false;    // see BpeModel
  std::vector<AddedToken> added_tokens;
  bool normalizes_to_nfc = false;
  std::vector<SplitRule> split_rules;  // applied one after the other, each to the pieces of the one before
  std::optional<TokenId> bos_id;       // what the post-processor puts before the text

  // The id of the added token or, failing that, the token of the model that is written `content` in the file.
  [[nodiscard]] std::optional<TokenId> token_id(std::string_view content) const;
};

// `json`: the file's bytes; `file_name` starts every message. Throws UnsupportedTokenizer for a component or flag that
// is not in the table above, Error for anything malformed, both naming field, expected and found.
[[nodiscard]] TokenizerJson parse_tokenizer_json(std::string_view json, std::string_view file_name);

// The token that `tokenizer_config.json` wants before every text: its `bos_token` if `add_bos_token` is true. Nothing
// if there is no such file. Throws Error if it is malformed.
[[nodiscard]] std::optional<std::string> read_config_bos_token(const std::filesystem::path& tokenizer_config_file);

}  // namespace prm_score
