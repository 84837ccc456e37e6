// byte_tokenizer.h - a tokenizer whose ids can be worked out by hand: one id per UTF-8 byte, its value.
#pragma once

#include <memory>
#include <numeric>
#include <string>

#include "prm_score/error.h"
#include "prm_score/text/tokenizer.h"
#include "prm_score/text/unicode.h"

namespace prm_score {

class ByteTokenizer : public Tokenizer {
 public:
  explicit ByteTokenizer(std::optional<TokenId> bos_id = std::nullopt) : bos_id_(bos_id) {}

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const override {
    return {reinterpret_cast<const unsigned char*>(text.data()),
            reinterpret_cast<const unsigned char*>(text.data()) + text.size()};
  }

  [[nodiscard]] SourcedIds encode_with_sources(std::string_view text) const override {
    SourcedIds encoded{.ids = encode(text), .sources = {}};
    for (size_t begin = 0; begin < text.size();) {
      const int num_bytes = decode_code_point(text, begin).num_bytes;
      const ByteRange whole = {static_cast<int64_t>(begin), static_cast<int64_t>(begin) + num_bytes};
      encoded.sources.insert(encoded.sources.end(), num_bytes, whole);
      begin += num_bytes;
    }
    return encoded;
  }

  [[nodiscard]] std::string decode(std::span<const TokenId> ids) const override {
    return replace_invalid_utf8(std::string(ids.begin(), ids.end()));
  }

  [[nodiscard]] DecodedPrefixes decode_prefixes(std::span<const TokenId> ids,
                                                std::span<const int64_t> positions) const override {
    DecodedPrefixes decoded{.text = decode(ids), .prefixes = {}};
    for (const int64_t position : positions) {
      const std::string prefix = decode(ids.first(position));
      const auto num_common = std::mismatch(prefix.begin(), prefix.end(), decoded.text.begin(), decoded.text.end());
      const bool is_cut = num_common.first != prefix.end();
      decoded.prefixes.push_back({static_cast<int64_t>(prefix.size()) - (is_cut ? 3 : 0), is_cut ? 1 : 0});
    }
    return decoded;
  }

  [[nodiscard]] TokenId label_id(std::string_view label) const override {
    if (label.size() != 1) throw Error("label: expected one byte");
    return static_cast<unsigned char>(label[0]);
  }

  [[nodiscard]] std::optional<TokenId> bos_id() const override { return bos_id_; }
  [[nodiscard]] int64_t vocab_size() const override { return 257; }

  // Here `@` is the one special token.
  [[nodiscard]] bool contains_special_token(std::string_view text) const override {
    return text.find('@') != std::string_view::npos;
  }

  [[nodiscard]] std::unique_ptr<Trunk> encode_trunk(std::string text) const override {
    return make_whole_string_trunk(*this, std::move(text));
  }

  [[nodiscard]] const std::string& file_name() const override { return name_; }
  [[nodiscard]] const std::string& file_sha256() const override { return name_; }

 private:
  std::optional<TokenId> bos_id_;
  std::string name_ = "bytes";
};

}  // namespace prm_score
