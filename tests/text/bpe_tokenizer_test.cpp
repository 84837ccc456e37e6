#include "prm_score/text/bpe_tokenizer.h"

#include <array>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "tokenizer_kinds.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/text/sha256.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;

json read_golden(const std::string& name) {
  return json::parse(read_test_file(data_folder() / "golden" / "tokenizers" / name));
}

// As scripts/make_tokenizer_goldens.py writes it.
std::string ids_sha256(const Ids& ids) {
  std::string text;
  for (const TokenId id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
  return sha256_hex(text);
}

// A text of the list, or of a recipe; see scripts/tokenizer_texts.py.
std::string expand(const json& text) {
  if (text.is_string()) return text;
  std::string expanded;
  if (text.contains("unit")) {
    for (int i = 0; i < text["times"]; ++i) expanded += text["unit"].get_ref<const std::string&>();
    return expanded;
  }
  constexpr std::array<std::array<char32_t, 2>, 4> kSweptRanges = {
      {{0x0, 0xD800}, {0xE000, 0x33480}, {0xE0000, 0xE0200}, {0x10FFF0, 0x110000}}};
  for (const auto& [begin, end] : kSweptRanges) {
    for (char32_t c = begin; c < end; ++c) {
      append_utf8(c, expanded);
      expanded += text["every_code_point_then"].get_ref<const std::string&>();
    }
  }
  return expanded;
}

void expect_ids(const Ids& ids, const json& expected, const std::string& name) {
  if (expected.is_array()) {
    EXPECT_EQ(ids, expected.get<Ids>()) << name;
  } else {
    EXPECT_EQ(ids_sha256(ids), expected.get<std::string>()) << name;
  }
}

class BpeTokenizerOfKind : public testing::TestWithParam<std::string> {
 protected:
  const std::unique_ptr<Tokenizer> tokenizer_ = load_kind(GetParam(), SpecialTokens::kParse);
};

TEST_P(BpeTokenizerOfKind, EncodesTheTortureListAsTheReference) {
  const auto plain = load_kind(GetParam(), SpecialTokens::kText);
  const json golden = read_golden("torture.json");
  const json& answers = golden.at(GetParam());
  ASSERT_EQ(golden.at("texts").size(), answers.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::string name = golden.at("texts").at(i).at(0);
    const std::string text = expand(golden.at("texts").at(i).at(1));
    expect_ids(tokenizer_->encode(text), answers.at(i).at("ids"), name);
    if (answers.at(i).contains("ids_as_text")) {
      expect_ids(plain->encode(text), answers.at(i).at("ids_as_text"), name + ", as text");
    }
  }
}

TEST_P(BpeTokenizerOfKind, EncodesTheCorpusAsTheReference) {
  const json golden = read_golden("corpus.json");
  const json& expected = golden.at(GetParam());
  std::string all_hashes;
  for (size_t i = 0; i < golden.at("files").size(); ++i) {
    const std::string name = golden.at("files").at(i);
    const std::string hash = ids_sha256(tokenizer_->encode(read_test_file(data_folder() / "corpus" / name)));
    if (expected.is_array()) {
      EXPECT_EQ(hash, expected.at(i).get<std::string>()) << name;
    }
    all_hashes += (i == 0 ? "" : " ") + hash;
  }
  if (expected.is_string()) {
    EXPECT_EQ(sha256_hex(all_hashes), expected.get<std::string>());
  }
}

TEST_P(BpeTokenizerOfKind, DecodesAsTheReference) {
  for (const auto& [ids, text] :
       read_golden("decode.json").at(GetParam()).get<std::vector<std::pair<Ids, std::string>>>()) {
    EXPECT_EQ(tokenizer_->decode(ids), text);
  }
}

// decode_prefixes by its definition, for ids that cut characters at every place.
TEST_P(BpeTokenizerOfKind, DecodesPrefixesAsDecodeDoes) {
  for (const auto& [ids, text] :
       read_golden("decode.json").at(GetParam()).get<std::vector<std::pair<Ids, std::string>>>()) {
    std::vector<int64_t> positions(ids.size() + 1);
    std::iota(positions.begin(), positions.end(), 0);
    const DecodedPrefixes decoded = tokenizer_->decode_prefixes(ids, positions);
    EXPECT_EQ(decoded.text, text);
    ASSERT_EQ(decoded.prefixes.size(), positions.size());
    for (size_t n = 0; n < positions.size(); ++n) {
      std::string prefix = decoded.text.substr(0, static_cast<size_t>(decoded.prefixes[n].num_bytes));
      for (int k = 0; k < decoded.prefixes[n].num_replacements; ++k) prefix += "\ufffd";
      EXPECT_EQ(prefix, tokenizer_->decode(std::span(ids).first(n)));
    }
  }
}

TEST_P(BpeTokenizerOfKind, SourcesGoWithTheIds) {
  const json golden = read_golden("torture.json");
  for (const json& named : golden.at("texts")) {
    if (!named.at(1).is_string()) continue;
    const std::string name = named.at(0), given = named.at(1);
    const SourcedIds sourced = tokenizer_->encode_with_sources(given);
    ASSERT_EQ(sourced.ids, tokenizer_->encode(given)) << name;
    ASSERT_EQ(sourced.sources.size(), sourced.ids.size());
    int64_t last_begin = 0;
    for (const ByteRange source : sourced.sources) {
      EXPECT_LE(last_begin, source.begin) << name;
      EXPECT_LE(source.begin, source.end) << name;
      EXPECT_LE(source.end, static_cast<int64_t>(given.size())) << name;
      last_begin = source.begin;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(GoldenKinds, BpeTokenizerOfKind, testing::ValuesIn(kTokenizerKinds), [](const auto& kind) {
  std::string name = kind.param;
  std::erase(name, '.');
  return name;
});

// Hand-worked: a character whose bytes are in two tokens is the source of both; a joined one has both its parts.
TEST(BpeTokenizer, SourcesAreWholeCharactersOfTheGivenText) {
  const auto tokenizer = load_kind("qwen2.5", SpecialTokens::kParse);
  const SourcedIds latin = tokenizer->encode_with_sources("a e\u0301");  // "a", " é"
  EXPECT_EQ(latin.sources, (std::vector<ByteRange>{{0, 1}, {1, 5}}));
  const SourcedIds emoji =
      tokenizer->encode_with_sources("x\U00012345");  // no token of its own: bytes of one character
  ASSERT_GE(emoji.ids.size(), 3u);
  for (size_t i = 1; i < emoji.ids.size(); ++i) EXPECT_EQ(emoji.sources[i], (ByteRange{1, 5}));
  const SourcedIds special = tokenizer->encode_with_sources("a<|im_end|>b");
  EXPECT_EQ(special.sources, (std::vector<ByteRange>{{0, 1}, {1, 11}, {11, 12}}));
}

TEST(BpeTokenizer, KnowsTheLabelsOfQwen25) {
  const auto tokenizer = load_kind("qwen2.5", SpecialTokens::kParse);
  EXPECT_EQ(tokenizer->label_id("A"), 32);
  EXPECT_EQ(tokenizer->label_id("B"), 33);
  EXPECT_EQ(tokenizer->label_id("<|im_end|>"), 151645);
}

TEST(BpeTokenizer, RefusesALabelThatIsNotOneToken) {
  const auto tokenizer = load_kind("qwen2.5", SpecialTokens::kParse);
  EXPECT_THROW((void)tokenizer->label_id(""), Error);
  try {
    (void)tokenizer->label_id("A B");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "tokenizer.json: label \"A B\": expected a single token, got 2 (ids 32 425)");
  }
}

TEST(BpeTokenizer, TakesBosFromThePostProcessor) {
  EXPECT_EQ(load_kind("qwen2.5", SpecialTokens::kParse)->bos_id(), std::nullopt);
  EXPECT_EQ(load_kind("gpt2", SpecialTokens::kParse)->bos_id(), std::nullopt);
  EXPECT_EQ(load_kind("mistral_nemo", SpecialTokens::kParse)->bos_id(), 1);
  const auto llama3 = load_kind("llama3", SpecialTokens::kParse);
  EXPECT_EQ(llama3->bos_id(), llama3->label_id("<|begin_of_text|>"));
}

TEST(BpeTokenizer, TakesBosFromTheConfiguration) {
  const std::string file = read_test_file(tokenizer_folder("qwen3") / "tokenizer.json");
  const BpeTokenizer tokenizer(file, "tokenizer.json", "<|im_start|>", {});
  EXPECT_EQ(tokenizer.bos_id(), tokenizer.label_id("<|im_start|>"));
  EXPECT_THROW(BpeTokenizer(file, "tokenizer.json", "<nothing>", {}), Error);
}

TEST(BpeTokenizer, FindsSpecialTokensWhateverTheOption) {
  for (const SpecialTokens option : {SpecialTokens::kParse, SpecialTokens::kText}) {
    const auto tokenizer = load_kind("qwen2.5", option);
    EXPECT_TRUE(tokenizer->contains_special_token("a <|im_end|> b"));
    EXPECT_FALSE(tokenizer->contains_special_token("a <tool_call> <|im_end|"));  // added, but not special
    EXPECT_FALSE(tokenizer->contains_special_token(""));
  }
}

TEST(BpeTokenizer, RefusesIdsOutsideTheVocabulary) {
  const auto tokenizer = load_kind("qwen2.5", SpecialTokens::kParse);
  EXPECT_EQ(tokenizer->vocab_size(), 151665);
  EXPECT_THROW((void)tokenizer->decode(Ids{151665}), Error);
  EXPECT_THROW((void)tokenizer->decode(Ids{-1}), Error);
}

TEST(BpeTokenizer, NamesItsFile) {
  const auto tokenizer = load_kind("qwen2.5", SpecialTokens::kParse);
  EXPECT_EQ(tokenizer->file_name(), "tokenizer.json");
  EXPECT_EQ(tokenizer->file_sha256(), sha256_hex(read_test_file(tokenizer_folder("qwen2.5") / "tokenizer.json")));
}

}  // namespace
}  // namespace prm_score
