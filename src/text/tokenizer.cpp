#include "prm_score/text/tokenizer.h"

#include <algorithm>
#include <string_view>

#include "prm_score/error.h"
#include "prm_score/text/bpe_tokenizer.h"
#include "prm_score/text/sentencepiece_tokenizer.h"

namespace prm_score {
namespace {

class WholeStringTrunk final : public Trunk {
 public:
  WholeStringTrunk(const Tokenizer& tokenizer, std::string text)
      : tokenizer_(tokenizer), text_(std::move(text)), ids_(tokenizer.encode(text_)) {}

  [[nodiscard]] const std::vector<TokenId>& ids() const override { return ids_; }

  [[nodiscard]] JoinedIds join(int64_t num_bytes, std::string_view tail) const override {
    const std::vector<TokenId> ids = tokenizer_.encode(text_.substr(0, static_cast<size_t>(num_bytes)).append(tail));
    const auto first_other = std::ranges::mismatch(ids_, ids).in2;
    return {first_other - ids.begin(), std::vector<TokenId>(first_other, ids.end())};
  }

 private:
  const Tokenizer& tokenizer_;
  std::string text_;
  std::vector<TokenId> ids_;
};

}  // namespace

std::unique_ptr<Trunk> make_whole_string_trunk(const Tokenizer& tokenizer, std::string text) {
  return std::make_unique<WholeStringTrunk>(tokenizer, std::move(text));
}

namespace {

std::unique_ptr<Tokenizer> load(const std::filesystem::path& folder, const TokenizerOptions& options) {
  const std::filesystem::path json_file = folder / "tokenizer.json";
  const bool has_model_file = std::filesystem::exists(folder / "tokenizer.model");
  if (!std::filesystem::exists(json_file)) {
    if (has_model_file) return load_sentencepiece_tokenizer(folder, options);
    throw Error(folder.string() + ": expected tokenizer.json or tokenizer.model, got neither");
  }
  try {
    return load_bpe_tokenizer(json_file, options);
  } catch (const UnsupportedTokenizer& error) {
    if (has_model_file) return load_sentencepiece_tokenizer(folder, options);
    throw Error(std::string(error.what()) + " (and there is no tokenizer.model to use instead)");
  }
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder, const TokenizerOptions& options) {
  try {
    return load(folder, options);
  } catch (const Error& error) {
    // Tokenizers know their files by name only.
    if (std::string_view(error.what()).starts_with(folder.string())) throw;
    throw Error((folder / error.what()).string());
  }
}

}  // namespace prm_score
