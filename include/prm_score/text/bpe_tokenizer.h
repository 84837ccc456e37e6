// bpe_tokenizer.h - byte-level BPE from tokenizer.json, id for id as the `tokenizers` package (0.23.3) encodes.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "prm_score/text/bpe_model.h"
#include "prm_score/text/text_splitter.h"
#include "prm_score/text/tokenizer.h"
#include "prm_score/text/tokenizer_json.h"

namespace prm_score {

class BpeTokenizer final : public Tokenizer {
 public:
  // `json`: the bytes of a tokenizer.json, `file_name` its name. `config_bos_token`: see read_config_bos_token; the
  // post-processor's goes before it. Throws UnsupportedTokenizer or Error as parse_tokenizer_json does.
  BpeTokenizer(std::string_view json, const std::string& file_name, const std::optional<std::string>& config_bos_token,
               const TokenizerOptions& options);

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const override;
  [[nodiscard]] SourcedIds encode_with_sources(std::string_view text) const override;
  [[nodiscard]] std::string decode(std::span<const TokenId> ids) const override;
  [[nodiscard]] DecodedPrefixes decode_prefixes(std::span<const TokenId> ids,
                                                std::span<const int64_t> positions) const override;
  [[nodiscard]] TokenId label_id(std::string_view label) const override;
  [[nodiscard]] std::optional<TokenId> bos_id() const override { return bos_id_; }
  [[nodiscard]] int64_t vocab_size() const override { return vocab_size_; }
  [[nodiscard]] bool contains_special_token(std::string_view text) const override;
  [[nodiscard]] std::unique_ptr<Trunk> encode_trunk(std::string text) const override;
  [[nodiscard]] const std::string& file_name() const override { return file_name_; }
  [[nodiscard]] const std::string& file_sha256() const override { return file_sha256_; }

 private:
  BpeTokenizer(TokenizerJson json, std::string_view bytes, std::string file_name,
               const std::optional<std::string>& config_bos_token, const TokenizerOptions& options);

  // The bytes that `id` adds to a decoded text. Throws Error if there is no such token.
  [[nodiscard]] std::string_view decoded_bytes(TokenId id) const;
  void append_sources(std::string_view text, const TextPiece& piece, SourcedIds& sourced) const;

  TextSplitter splitter_;
  TextSplitter special_token_finder_;  // parses special tokens, whatever the options say
  std::optional<TokenId> bos_id_;
  std::unordered_map<TokenId, std::string> added_token_bytes_;  // what added tokens decode to
  std::unordered_set<TokenId> special_ids_;
  int64_t vocab_size_ = 0;
  std::string file_name_;
  std::string file_sha256_;
  BpeModel model_;
};

// Reads `tokenizer_file` (a tokenizer.json) and the tokenizer_config.json beside it. Throws as the constructor does,
// and Error if a file cannot be read.
[[nodiscard]] std::unique_ptr<Tokenizer> load_bpe_tokenizer(const std::filesystem::path& tokenizer_file,
                                                            const TokenizerOptions& options);

}  // namespace prm_score
