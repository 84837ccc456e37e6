// tokenizer_file.h - splits a tokenizer.json into its two huge lists and the rest, in one pass over its bytes.
//
// A document tree of 150,000 tokens and as many merges would take most of the start-up time and memory; the rest of the
// file is a few KB.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "prm_score/text/token_table.h"

namespace prm_score {

// NOLINTNEXTLINE(bugprone-exception-escape): nlohmann's move constructor asserts what cannot fail
struct TokenizerFile {
  nlohmann::json fields;                                    // without `model.vocab` and `model.merges`
  bool has_vocab = false;                                   // `model.vocab` is there and an object
  bool has_merges = false;                                  // `model.merges` is there and an array
  TokenTable vocab;                                         // `model.vocab`: tokens as written
  std::vector<std::pair<std::string, std::string>> merges;  // `model.merges`, "a b" taken apart
};

// Throws Error, starting with `file_name`, if `json` is not JSON or nested absurdly deep, or if one of the two lists is
// there twice or holds something else than tokens.
[[nodiscard]] TokenizerFile read_tokenizer_file(std::string_view json, std::string_view file_name);

}  // namespace prm_score
