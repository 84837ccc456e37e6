#include "prm_score/text/tokenizer_json.h"

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "tokenizer_kinds.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prm_score/text/bpe_tokenizer.h"

namespace prm_score {
namespace {

using nlohmann::json;

// The smallest file that is whole: three tokens, one merge, one added token.
json small_file() {
  return json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 3, "content": "<e>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\s+|\\S+"}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
    "post_processor": {"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<e>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "<e>", "type_id": 0}}],
        "special_tokens": {"<e>": {"id": "<e>", "ids": [3], "tokens": ["<e>"]}}},
    "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
              "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
              "vocab": {"\u0120": 0, "a": 1, "\u0120a": 2}, "merges": [["\u0120", "a"]]}})");
}

TokenizerJson parse(const json& file) { return parse_tokenizer_json(file.dump(), "tokenizer.json"); }

// The message for the small file with the value at `pointer` replaced.
template <typename Exception = Error>
std::string error_with(const std::string& pointer, const json& value) {
  json file = small_file();
  file[json::json_pointer(pointer)] = value;
  try {
    (void)parse(file);
  } catch (const Exception& error) {
    return error.what();
  }
  return "no error";
}

std::string error_of(std::string_view text) {
  try {
    (void)parse_tokenizer_json(text, "tokenizer.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ParseTokenizerJson, ReadsEveryPart) {
  const TokenizerJson parsed = parse(small_file());
  EXPECT_EQ(parsed.tokens.find(" a"), 2);
  ASSERT_EQ(parsed.merges.size(), 1u);
  EXPECT_EQ(parsed.merges[0].left, 0);
  EXPECT_EQ(parsed.merges[0].right, 1);
  EXPECT_EQ(parsed.merges[0].merged, 2);
  EXPECT_TRUE(parsed.ignore_merges);
  EXPECT_TRUE(parsed.normalizes_to_nfc);
  ASSERT_EQ(parsed.added_tokens.size(), 1u);
  EXPECT_EQ(parsed.added_tokens[0].id, 3);
  EXPECT_TRUE(parsed.added_tokens[0].special);
  ASSERT_EQ(parsed.split_rules.size(), 1u);
  EXPECT_EQ(parsed.split_rules[0].regex, "\\s+|\\S+");
  EXPECT_EQ(parsed.bos_id, 3);
  EXPECT_EQ(parsed.token_id("<e>"), 3);
  EXPECT_EQ(parsed.token_id("\u0120a"), 2);
  EXPECT_EQ(parsed.token_id(" a"), std::nullopt);
}

TEST(ParseTokenizerJson, ReadsOlderSpellings) {
  json file = small_file();
  file["model"]["merges"] = {"#version: 0.2", "\u0120 a"};
  file["model"].erase("type");
  file["normalizer"] = nullptr;
  file["post_processor"] = nullptr;
  file["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  const TokenizerJson parsed = parse(file);
  EXPECT_EQ(parsed.merges.size(), 1u);
  EXPECT_EQ(parsed.bos_id, std::nullopt);
  ASSERT_EQ(parsed.split_rules.size(), 1u);  // use_regex is true by default: GPT-2's pattern
  EXPECT_TRUE(parsed.split_rules[0].regex.starts_with("'s|'t|'re"));
}

TEST(ParseTokenizerJson, EscapesAPatternThatIsAString) {
  json file = small_file();
  file["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"String", "a.|b"}};
  EXPECT_EQ(parse(file).split_rules[0].regex, "a\\.\\|b");
}

TEST(ParseTokenizerJson, NamesTheComponentItDoesNotKnow) {
  const auto& unsupported = error_with<UnsupportedTokenizer>;
  EXPECT_EQ(unsupported("/pre_tokenizer/pretokenizers/1/type", "Metaspace"),
            "tokenizer.json: pre_tokenizer.pretokenizers[1].type: expected ByteLevel as the last, got \"Metaspace\"");
  EXPECT_EQ(unsupported("/pre_tokenizer/pretokenizers/0/type", "Digits"),
            "tokenizer.json: pre_tokenizer.pretokenizers[0].type: expected Split before the last, got \"Digits\"");
  EXPECT_EQ(unsupported("/normalizer/type", "Lowercase"),
            "tokenizer.json: normalizer.type: expected NFC, got \"Lowercase\"");
  EXPECT_EQ(unsupported("/model/type", "Unigram"), "tokenizer.json: model.type: expected BPE, got \"Unigram\"");
  EXPECT_EQ(unsupported("/model/byte_fallback", true), "tokenizer.json: model.byte_fallback: expected false, got true");
  EXPECT_EQ(unsupported("/decoder/type", "Fuse"), "tokenizer.json: decoder.type: expected ByteLevel, got \"Fuse\"");
  EXPECT_EQ(unsupported("/post_processor/type", "BertProcessing"),
            "tokenizer.json: post_processor.type: expected ByteLevel or TemplateProcessing, got \"BertProcessing\"");
}

TEST(ParseTokenizerJson, RefusesFlagsThatWouldChangeIds) {
  for (const auto& [pointer, value] :
       std::vector<std::pair<std::string, json>>{{"/model/dropout", 0.1},
                                                 {"/model/unk_token", "<e>"},
                                                 {"/model/continuing_subword_prefix", "##"},
                                                 {"/model/end_of_word_suffix", "</w>"},
                                                 {"/pre_tokenizer", nullptr},
                                                 {"/pre_tokenizer/pretokenizers", json::array()},
                                                 {"/pre_tokenizer/pretokenizers/1/add_prefix_space", true},
                                                 {"/pre_tokenizer/pretokenizers/0/behavior", "Removed"},
                                                 {"/pre_tokenizer/pretokenizers/0/invert", true},
                                                 {"/post_processor/single/1/Sequence/id", "B"},
                                                 {"/post_processor/special_tokens/<e>/ids", {3, 3}},
                                                 {"/decoder", nullptr},
                                                 {"/version", "2.0"}}) {
    EXPECT_NE(error_with<UnsupportedTokenizer>(pointer, value), "no error") << pointer;
  }
}

TEST(ParseTokenizerJson, RefusesWhatIsMalformed) {
  for (const auto& [pointer, value, message] : std::vector<std::tuple<std::string, json, std::string>>{
           {"/model", nullptr, "tokenizer.json: model: expected an object, got null or nothing"},
           {"/model/vocab", nullptr,
            "tokenizer.json: model.vocab: expected an object of tokens and ids, got null or nothing"},
           {"/model/merges", 7, "tokenizer.json: model.merges: expected an array of merges, got 7"},
           {"/model/ignore_merges", "yes", "tokenizer.json: model.ignore_merges: expected true or false, got \"yes\""},
           {"/model/vocab/a", -1,
            "tokenizer.json: model.vocab: expected ids of 0 or more as its values, got something else"},
           {"/model/vocab/a", 1.5,
            "tokenizer.json: model.vocab: expected ids of 0 or more as its values, got something else"},
           {"/model/vocab/a", 4'000'000'000,
            "tokenizer.json: model.vocab: expected ids up to 16777215, got 4000000000"},
           {"/model/vocab/a", 0, "tokenizer.json: model.vocab: id 0 is given to two tokens"},
           {"/model/merges/0", {"a"}, "tokenizer.json: model.merges[0]: expected two tokens, got 1"},
           {"/model/merges/0", {"a", "b", "c"}, "tokenizer.json: model.merges[0]: expected two tokens, got 3"},
           {"/model/merges/0", "ab",
            "tokenizer.json: model.merges[0]: expected two tokens with a space between them, got \"ab\""},
           {"/model/merges/0", 5, "tokenizer.json: model.merges[0]: expected tokens, got something else"},
           {"/model/merges/0",
            {"a", "z"},
            "tokenizer.json: model.merges[0]: expected tokens of the vocabulary, got \"z\""},
           {"/model/merges/0",
            {"a", "a"},
            "tokenizer.json: model.merges[0]: expected tokens of the vocabulary, got \"aa\""},
           {"/added_tokens", 1, "tokenizer.json: added_tokens: expected an array, got 1"},
           {"/added_tokens/0/id", 9, "tokenizer.json: added_tokens[0].id: expected id 3 for this token, got 9"},
           {"/added_tokens/0/special", nullptr,
            "tokenizer.json: added_tokens[0].special: expected true or false, got null or nothing"},
           {"/added_tokens/0/content", 5, "tokenizer.json: added_tokens[0].content: expected a string, got 5"},
           {"/post_processor/special_tokens", json::object(),
            "tokenizer.json: post_processor.special_tokens.<e>: expected an object, got null or nothing"},
           {"/post_processor/special_tokens/<e>/ids",
            {77},
            "tokenizer.json: post_processor: expected ids of the vocabulary, got 77"},
           {"/post_processor/single", json::array(),
            "tokenizer.json: post_processor.single: expected an element Sequence A, got an array"}}) {
    EXPECT_EQ(error_with(pointer, value), message) << pointer;
  }
}

TEST(ParseTokenizerJson, RefusesWhatIsNoJson) {
  EXPECT_NE(error_of("").find("tokenizer.json: byte 1: not valid JSON"), std::string::npos);
  EXPECT_NE(error_of("{\"model\": ").find("not valid JSON"), std::string::npos);
  EXPECT_NE(error_of("{\"a\": \"\xFF\"}").find("not valid JSON"), std::string::npos);
  EXPECT_EQ(error_of("[]"), "tokenizer.json: expected an object, got an array");
  EXPECT_EQ(error_of(std::string(100'000, '[')), "tokenizer.json: nesting: expected at most 64 levels, got more");
}

TEST(ParseTokenizerJson, RefusesATokenThatIsThereTwice) {
  std::string text = small_file().dump();
  text.replace(text.find("\"a\":1"), 5, "\"a\":1,\"a\":7");
  EXPECT_EQ(error_of(text), "tokenizer.json: model.vocab: a token is there twice, id 7");
}

TEST(ParseTokenizerJson, RefusesASecondModel) {
  std::string text = small_file().dump();
  text.insert(text.size() - 1, R"(,"model":{"type":"BPE"})");
  EXPECT_EQ(error_of(text), "tokenizer.json: model: expected it once, got it twice");
}

// How long a text may be is up to who encodes: `transformers` sets both anew for each call.
TEST(ParseTokenizerJson, PassesOverTruncationAndPadding) {
  json file = small_file();
  file["truncation"] = {{"direction", "Right"}, {"max_length", 1}, {"strategy", "LongestFirst"}, {"stride", 0}};
  file["padding"] = {{"strategy", {{"Fixed", 20}}}, {"direction", "Right"}, {"pad_id", 0}, {"pad_token", "a"}};
  EXPECT_EQ(error_of(file.dump()), "no error");
}

// Ids with gaps are read; an added token may not get the id of another.
TEST(ParseTokenizerJson, TakesIdsWithGaps) {
  json file = small_file();
  file["model"]["vocab"]["b"] = 1000;
  file["added_tokens"][0]["id"] = 4;  // the number of tokens, as the reference counts
  file["post_processor"] = nullptr;
  EXPECT_EQ(parse(file).tokens.end_id(), 1001);
  file["model"]["vocab"].erase("b");
  file["model"]["vocab"]["c"] = 4;
  EXPECT_EQ(error_of(file.dump()),
            "tokenizer.json: added_tokens[0].id: expected an id that no token of model.vocab has, got 4");
}

// Any damage gives an Error or another tokenizer, never a crash (the tests also run under sanitizers).
TEST(ParseTokenizerJson, SurvivesDamage) {
  const std::string whole = small_file().dump();
  std::mt19937_64 random(1);
  for (int i = 0; i < 5'000; ++i) {
    std::string damaged = whole;
    for (size_t times = 1 + random() % 3; times > 0; --times) {
      const size_t at = random() % damaged.size();
      if (random() % 2 == 0) {
        damaged[at] = static_cast<char>(random() % 256);
      } else {
        damaged.erase(at, 1 + random() % 20);
      }
    }
    try {
      const BpeTokenizer tokenizer(damaged, "tokenizer.json", std::nullopt, {});
      (void)tokenizer.decode(tokenizer.encode("a  a<e> b\n"));
    } catch (const Error&) {
      continue;
    }
  }
}

class ReadConfigBosToken : public testing::Test {
 protected:
  std::optional<std::string> read(const std::string& text) {
    std::ofstream(file_) << text;
    return read_config_bos_token(file_);
  }
  ~ReadConfigBosToken() override { std::filesystem::remove(file_); }

  const std::filesystem::path file_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string("tokenizer_config_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(ReadConfigBosToken, GivesTheTokenIfItIsAskedFor) {
  EXPECT_EQ(read(R"({"add_bos_token": true, "bos_token": "<s>"})"), "<s>");
  EXPECT_EQ(read(R"({"add_bos_token": true, "bos_token": {"content": "<s>", "lstrip": false}})"), "<s>");
  EXPECT_EQ(read(R"({"add_bos_token": false, "bos_token": "<s>"})"), std::nullopt);
  EXPECT_EQ(read(R"({"bos_token": "<s>"})"), std::nullopt);
  EXPECT_EQ(read_config_bos_token(file_ / "missing"), std::nullopt);
}

TEST_F(ReadConfigBosToken, RefusesAFolder) {
  std::filesystem::create_directory(file_);
  try {
    (void)read_config_bos_token(file_);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), file_.string() + ": expected a regular file");
  }
}

TEST_F(ReadConfigBosToken, RefusesWhatIsMalformed) {
  EXPECT_THROW(read("{"), Error);
  EXPECT_THROW(read("[]"), Error);
  EXPECT_THROW(read(R"({"add_bos_token": 1})"), Error);
  EXPECT_THROW(read(R"({"add_bos_token": true, "bos_token": null})"), Error);
}

}  // namespace
}  // namespace prm_score
