#include "prm_score/score/scorer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

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

class ScoreGolden : public testing::TestWithParam<std::string> {
 protected:
  void expect_goldens(bool prefix_sharing) const;
};

void ScoreGolden::expect_goldens(bool prefix_sharing) const {
  const auto golden = read_json(kGoldenFolder / (GetParam() + ".json"));
  size_t num_documents = 0;
  for (const auto& [name, prompt_options] : golden.at("options").items()) {
    ScorerOptions options = options_for(kDataFolder.parent_path() / golden.at("folder").get<std::string>());
    options.prompt = prompt_options_from(prompt_options);
    options.prefix_sharing = prefix_sharing;
    Scorer scorer(options);
    const auto& cases = golden.at("cases").at(name);
    for (const Document& document : documents_in(cases)) {
      SCOPED_TRACE(name + " on document " + document.origin.id_json);
      expect_golden(scorer.score(document), cases.at(document.origin.id_json));
      ++num_documents;
    }
  }
  EXPECT_GE(num_documents, 20u);
}

TEST_P(ScoreGolden, SharedPrefixesEqualTransformersChunkByChunk) { expect_goldens(/*prefix_sharing=*/true); }

TEST_P(ScoreGolden, TheOracleEqualsTransformersChunkByChunk) { expect_goldens(/*prefix_sharing=*/false); }

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
  Scorer scorer(options_for(kSmall));
  const DocumentReward bad = scorer.score(document_of(""));
  EXPECT_EQ(bad.error, "text: no tokens");
  EXPECT_FALSE(bad.reward);
  EXPECT_TRUE(scorer.score(document_of("But this one has some.")).reward);
}

// --- Many lines ---

// Gives lines that are ready, one by one; then waits, ends, or throws.
class Lines final : public LineSource {
 public:
  enum class Then { kEnd, kWait, kThrow };

  explicit Lines(std::vector<InputLine> lines, Then then = Then::kEnd) : lines_(std::move(lines)), then_(then) {}

  std::optional<InputLine> next() override {
    std::unique_lock lock(mutex_);
    if (num_given_ < lines_.size()) return lines_[num_given_++];
    if (then_ == Then::kThrow) throw Error("input: torn off");
    if (then_ == Then::kWait) interrupted_.wait(lock, [&] { return is_interrupted_; });
    return std::nullopt;
  }
  void interrupt() override {
    const std::lock_guard lock(mutex_);
    is_interrupted_ = true;
    interrupted_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable interrupted_;
  bool is_interrupted_ = false;
  std::vector<InputLine> lines_;
  size_t num_given_ = 0;
  Then then_;
};

InputLine line_of(int64_t number, std::string text) {
  Document document = document_of(std::move(text));
  document.origin.line = number;
  return document;
}

std::vector<InputLine> some_lines() {
  std::vector<InputLine> lines;
  for (int64_t i = 0; i < 30; ++i) {
    if (i % 7 == 3) {
      LineError bad;
      bad.origin.line = i;
      bad.reason = "not JSON";
      lines.emplace_back(std::move(bad));
    } else {
      lines.push_back(line_of(i, i % 7 == 4 ? "" : std::string(i * 40, static_cast<char>('a' + i % 26)) + " words"));
    }
  }
  return lines;
}

TEST(ScoreLines, AnswersEveryLineInOrderAsIfItWereAlone) {
  for (const bool prefix_sharing : {true, false}) {
    ScorerOptions options = options_for(kSmall);
    options.prefix_sharing = prefix_sharing;
    options.max_batch_tokens = 200;
    Scorer scorer(options);
    Lines source(some_lines());
    std::vector<DocumentReward> results;
    scorer.score(
        source,
        [&](const RowOrigin& origin, const DocumentReward& reward) {
          EXPECT_EQ(origin.line, std::ssize(results));
          results.push_back(reward);
          return true;
        },
        false);
    const auto lines = some_lines();
    ASSERT_EQ(results.size(), lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
      if (const auto* document = std::get_if<Document>(&lines[i])) {
        const DocumentReward alone = scorer.score(*document);
        EXPECT_EQ(results[i].log_odds, alone.log_odds);
        EXPECT_EQ(results[i].reward, alone.reward);
        EXPECT_EQ(results[i].error, alone.error);
      } else {
        EXPECT_EQ(results[i].error, "not JSON");
      }
    }
  }
}

TEST(ScoreLines, KeepsNothingBackWhenTheInputPauses) {
  Scorer scorer(options_for(kSmall));
  Lines source({line_of(0, "One line."), line_of(1, "And another.")}, Lines::Then::kWait);
  int num_taken = 0;
  // The source waits for ever: only that both are taken ends this.
  scorer.score(
      source, [&](const RowOrigin&, const DocumentReward&) { return ++num_taken < 2; }, false);
  EXPECT_EQ(num_taken, 2);
}

TEST(ScoreLines, WhatTheSourceThrowsComesAfterTheRowsBeforeIt) {
  Scorer scorer(options_for(kSmall));
  Lines source(some_lines(), Lines::Then::kThrow);
  int num_taken = 0;
  EXPECT_THROW(scorer.score(
                   source, [&](const RowOrigin&, const DocumentReward&) { return ++num_taken > 0; }, false),
               Error);
  EXPECT_EQ(num_taken, 30);
}

TEST(ScoreLines, WhatTakeThrowsEndsTheRun) {
  Scorer scorer(options_for(kSmall));
  Lines source(some_lines(), Lines::Then::kWait);
  const TakeReward full = [](const RowOrigin&, const DocumentReward&) -> bool { throw Error("disk full"); };
  EXPECT_THROW(scorer.score(source, full, false), Error);
  EXPECT_TRUE(scorer.score(document_of("The next run is not disturbed.")).reward);
}

TEST(ScoreLines, StopsWhenAskedTo) {
  Scorer scorer(options_for(kSmall));
  std::atomic<bool> stop = false;
  Lines source(some_lines(), Lines::Then::kWait);
  int num_taken = 0;
  scorer.score(
      source,
      [&](const RowOrigin&, const DocumentReward&) {
        ++num_taken;
        stop = true;
        return true;
      },
      stop);
  EXPECT_GE(num_taken, 1);
  EXPECT_LE(num_taken, 30);
}

TEST(Scorer, InfoSaysWhatTheOptionsCameTo) {
  Scorer scorer(options_for(kSmall));
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
      Scorer scorer(options_for(folder_));
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
    Scorer scorer(options_for(folder_));
    const DocumentReward result = scorer.score(document_of("Some text."));
    EXPECT_EQ(result.error, "log_odds: chunk 0: expected finite logits, got nan");
    EXPECT_FALSE(result.reward);
  }
}

}  // namespace
}  // namespace prm_score
