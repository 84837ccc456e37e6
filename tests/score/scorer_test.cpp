#include "prm_score/score/scorer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

const fs::path kDataFolder = PRM_SCORE_DATA_DIR;
const fs::path kGoldenFolder = kDataFolder / "golden" / "scores";

nlohmann::json read_json(const fs::path& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

ScorerOptions options_for(const fs::path& checkpoint) {
  ScorerOptions options;
  options.model = checkpoint;
  options.device = "cpu";
  options.threads = 1;  // small models: nothing to gain from more, much to lose on a busy machine
  return options;
}

Document document_of(std::string text, std::string context = "") {
  return {.origin = {}, .text = std::move(text), .context = std::move(context)};
}

// --- Against transformers in float64, made by scripts/make_score_goldens.py ---

PromptOptions prompt_options_from(const nlohmann::json& json) {
  PromptOptions options;
  options.chunking.chunk_size = json.at("chunk_size");
  options.chunking.stride =
      json.at("stride").is_null() ? options.chunking.chunk_size : json.at("stride").get<int64_t>();
  if (json.at("first_chunk") == "skip") options.first_chunk = FirstChunk::kSkip;
  if (json.at("last_chunk") == "drop") options.last_chunk = LastChunk::kDrop;
  if (json.at("last_chunk") == "weight") options.last_chunk = LastChunk::kWeight;
  if (json.at("join") == "tokens") options.join = Join::kTokens;
  if (!json.at("max_context").is_null()) options.max_context = json.at("max_context").get<int64_t>();
  return options;
}

// The tolerance of the contract for float32, chunk by chunk: 1e-4 * max(1, |log_odds|).
void expect_log_odds(const std::vector<std::optional<float>>& got, const nlohmann::json& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t chunk = 0; chunk < got.size(); ++chunk) {
    ASSERT_EQ(got[chunk].has_value(), !expected[chunk].is_null()) << "chunk " << chunk;
    if (!got[chunk]) continue;
    const double log_odds = expected[chunk];
    EXPECT_NEAR(*got[chunk], log_odds, 1e-4 * std::max(1.0, std::abs(log_odds))) << "chunk " << chunk;
  }
}

void expect_golden(const DocumentReward& got, const nlohmann::json& expected) {
  if (!expected.at("fits") || expected.at("reward").is_null()) {
    EXPECT_NE(got.error, "");
    EXPECT_FALSE(got.reward);
    return;
  }
  ASSERT_EQ(got.error, "");
  EXPECT_EQ(got.num_tokens, expected.at("num_tokens"));
  EXPECT_EQ(got.warnings.context_cut, expected.at("context_cut"));
  expect_log_odds(got.log_odds, expected.at("log_odds"));
  const double reward = expected.at("reward");
  EXPECT_NEAR(*got.reward, reward, 1e-4 * std::max(1.0, std::abs(reward)));
}

// The documents of the prompt goldens, and those made for scores alone.
std::vector<Document> documents_in(const nlohmann::json& cases) {
  std::vector<Document> documents;
  for (const char* folder : {"prompts", "scores"}) {
    std::ifstream file(kDataFolder / "golden" / folder / "documents.jsonl");
    for (std::string line; std::getline(file, line);) {
      const auto json = nlohmann::json::parse(line);
      if (!cases.contains(json.at("id"))) continue;
      documents.push_back(document_of(json.at("text"), json.value("context", "")));
      documents.back().origin.id_json = json.at("id");
    }
  }
  return documents;
}

class ScoreGolden : public testing::TestWithParam<std::string> {};

TEST_P(ScoreGolden, EqualsTransformersChunkByChunk) {
  const auto golden = read_json(kGoldenFolder / (GetParam() + ".json"));
  size_t num_documents = 0;
  for (const auto& [name, prompt_options] : golden.at("options").items()) {
    ScorerOptions options = options_for(kDataFolder.parent_path() / golden.at("folder").get<std::string>());
    options.prompt = prompt_options_from(prompt_options);
    const Scorer scorer(options);
    const auto& cases = golden.at("cases").at(name);
    for (const Document& document : documents_in(cases)) {
      SCOPED_TRACE(name + " on document " + document.origin.id_json);
      expect_golden(scorer.score(document), cases.at(document.origin.id_json));
      ++num_documents;
    }
  }
  EXPECT_GE(num_documents, 20u);
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGoldenFolder)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, ScoreGolden, testing::ValuesIn(golden_names()), test_name);

// --- What needs no golden ---

const fs::path kSmall = kDataFolder / "golden" / "checkpoints" / "qwen3";

TEST(Scorer, ADocumentWithoutTokensIsBadAndNothingElse) {
  const Scorer scorer(options_for(kSmall));
  const DocumentReward bad = scorer.score(document_of(""));
  EXPECT_EQ(bad.error, "text: no tokens");
  EXPECT_FALSE(bad.reward);
  EXPECT_TRUE(scorer.score(document_of("But this one has some.")).reward);
}

TEST(Scorer, StopsBetweenChunks) {
  const Scorer scorer(options_for(kSmall));
  const std::atomic<bool> stop = true;
  EXPECT_FALSE(scorer.score(document_of("Any text."), stop));
}

TEST(Scorer, InfoSaysWhatTheOptionsCameTo) {
  const Scorer scorer(options_for(kSmall));
  EXPECT_EQ(scorer.info().model_type, "qwen3");
  EXPECT_EQ(scorer.info().device, "cpu");
  EXPECT_EQ(scorer.info().dtype, "float32");
  EXPECT_EQ(scorer.info().max_positions, 512);
  EXPECT_GE(scorer.info().threads, 1);
}

TEST(Scorer, SwappedLabelsChangeTheSign) {
  ScorerOptions options = options_for(kSmall);
  const double reward = *Scorer(options).score(document_of("Some text to judge.")).reward;
  std::swap(options.label_a, options.label_b);
  EXPECT_DOUBLE_EQ(*Scorer(options).score(document_of("Some text to judge.")).reward, -reward);
}

TEST(Scorer, LabelsMustBeTwoDifferentSingleTokens) {
  ScorerOptions options = options_for(kSmall);
  options.label_a = "A and B";
  EXPECT_THROW(Scorer{options}, Error);
  options.label_a = "B";
  EXPECT_THROW(Scorer{options}, Error);
}

TEST(Scorer, Bfloat16StaysNearFloat32) {
  ScorerOptions options = options_for(kSmall);
  const Document document = document_of("A few words, to be scored in two number formats; the second is a coarse one.");
  const double in_float32 = *Scorer(options).score(document).reward;
  options.dtype = "bfloat16";
  EXPECT_NEAR(*Scorer(options).score(document).reward, in_float32, 0.1 * std::max(1.0, std::abs(in_float32)));
}

class FolderWithout : public testing::Test {
 protected:
  // A copy of the small checkpoint to be damaged.
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("prm_score_scorer_test_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directory(folder_);
    for (const auto& entry : fs::directory_iterator(kSmall))
      fs::copy_file(entry.path(), folder_ / entry.path().filename());
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string error() const {
    try {
      const Scorer scorer(options_for(folder_));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  void edit_config(const char* key, const nlohmann::json& value) const {
    auto config = read_json(folder_ / "config.json");
    config[key] = value;
    std::ofstream(folder_ / "config.json") << config;
  }

  fs::path folder_;
};

TEST_F(FolderWithout, WhatIsMissingIsNamed) {
  EXPECT_EQ(error(), "");
  fs::remove(folder_ / "config.json");
  EXPECT_NE(error().find("config.json"), std::string::npos) << error();
}

TEST_F(FolderWithout, TokenizerIsNamed) {
  fs::remove(folder_ / "tokenizer.json");
  EXPECT_NE(error().find("tokenizer.json"), std::string::npos) << error();
  EXPECT_NE(error().find("tokenizer.model"), std::string::npos) << error();
}

TEST_F(FolderWithout, WeightsAreNamed) {
  fs::remove(folder_ / "model.safetensors");
  EXPECT_NE(error().find("model.safetensors"), std::string::npos) << error();
}

TEST_F(FolderWithout, RoomForEveryTokenIsRequired) {
  edit_config("vocab_size", 900);
  const std::string message = error();  // weights of another shape, or ids past the embeddings: either says so
  EXPECT_NE(message.find("900"), std::string::npos) << message;
}

TEST_F(FolderWithout, OneNotANumberInTheWeightsMakesBadRowsNotWrongOnes) {
  // The last bytes of the file belong to some tensor; a NaN there reaches every hidden state.
  for (const char* not_a_number : {"\xFF\x7F", "\xFF\xFF"}) {  // bfloat16, of either sign
    std::fstream file(folder_ / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-2, std::ios::end);
    file.write(not_a_number, 2);
    file.close();
    const Scorer scorer(options_for(folder_));
    const DocumentReward result = scorer.score(document_of("Some text."));
    EXPECT_EQ(result.error, "log_odds: chunk 0: expected finite logits, got nan");
    EXPECT_FALSE(result.reward);
  }
}

}  // namespace
}  // namespace prm_score
