// tokenizer_kinds.h - the tokenizers of data/golden/tokenizers and what the tests ask of them.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "prm_score/text/bpe_tokenizer.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

// Kinds made by scripts/tokenizer_kinds.py, and the real Qwen2.5 tokenizer.
inline const std::vector<std::string> kTokenizerKinds = {"qwen2.5",   "qwen3",      "llama3",     "mistral_nemo",
                                                         "gpt2",      "no_pattern", "two_splits", "odd_tokens",
                                                         "odd_words", "some_bytes"};

inline std::filesystem::path data_folder() { return PRM_SCORE_DATA_DIR; }

inline std::filesystem::path tokenizer_folder(const std::string& kind) {
  return kind == "qwen2.5" ? data_folder() / "qwen2.5-tokenizer" : data_folder() / "golden" / "tokenizers" / kind;
}

inline std::unique_ptr<Tokenizer> load_kind(const std::string& kind, SpecialTokens special_tokens) {
  return load_bpe_tokenizer(tokenizer_folder(kind) / "tokenizer.json", {.special_tokens = special_tokens});
}

inline std::string read_test_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot open " + file.string());
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace prm_score
