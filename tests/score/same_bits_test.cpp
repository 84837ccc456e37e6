// The promise of the engine: what a document gets depends on nothing but the document. And that it is right: the
// oracle.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <random>

#include "../model/checkpoint_builder.h"
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "prm_score/model/cpu_step_model.h"
#include "prm_score/score/engine.h"
#include "prm_score/score/oracle_engine.h"
#include "prm_score/score/shared_prefix_engine.h"

namespace prm_score {
namespace {

const std::filesystem::path kDataFolder = PRM_SCORE_DATA_DIR;

// Three heads of ten, each with keys of its own: sizes that leave no row of keys where another one lies in a cache
// line.
constexpr const char* kOddHeads = R"({"model_type": "qwen2", "vocab_size": 300, "hidden_size": 30,
  "intermediate_size": 50, "num_hidden_layers": 3, "num_attention_heads": 3, "num_key_value_heads": 3,
  "max_position_embeddings": 2048, "hidden_act": "silu", "rms_norm_eps": 1e-6})";

constexpr Precision kBFloat16 = {.dtype = at::kBFloat16};
constexpr Precision kInt8 = {.quantization = Quantization::kInt8};

struct Setting {
  std::string checkpoint;  // a folder below data/, or the text of a config.json for random weights
  Precision precision = {};

  [[nodiscard]] std::shared_ptr<const LoadedModel> load(WeightOptions options) const {
    options.label_a_id = 32;
    options.label_b_id = 33;
    if (!checkpoint.starts_with("{")) return load_model(kDataFolder / checkpoint, options);
    const TempFolder folder;
    folder.write("config.json", checkpoint);
    return random_model(folder / "config.json", options);
  }

  friend std::ostream& operator<<(std::ostream& out, const Setting& s) {
    return out << s.checkpoint << " " << precision_name(s.precision);
  }
};

// Random ids in the shape that real documents have: a trunk, and a branch of about 87 rows behind every 64 of them.
ScorePlan random_plan(int64_t num_tokens, int64_t vocab_size, int64_t max_positions, std::mt19937& random) {
  const auto ids = [&](int64_t count) {
    std::vector<TokenId> result(count);
    for (TokenId& id : result) id = static_cast<TokenId>(random() % vocab_size);
    return result;
  };
  ScorePlan plan;
  TrunkPlan& trunk = plan.trunks.emplace_back();
  for (int64_t begin = 0, chunk = 0; begin < num_tokens; begin += 64, ++chunk) {
    const int64_t own = std::min<int64_t>(64, num_tokens - begin) + 20 + static_cast<int64_t>(random() % 7);
    const int64_t num_shared = std::max<int64_t>(0, begin - static_cast<int64_t>(random() % 3));
    if (num_shared + own > max_positions) break;
    trunk.branches.push_back({.chunk = chunk, .num_shared = num_shared, .ids = ids(own)});
  }
  trunk.ids = ids(trunk.branches.back().num_shared);
  return plan;
}

int64_t num_chunks(const ScorePlan& plan) { return std::ssize(plan.trunks[0].branches); }

// The documents' log-odds, in their own order, when they come in `order`.
std::vector<std::vector<std::optional<float>>> judge(Engine& engine, const std::vector<ScorePlan>& plans,
                                                     const std::vector<int64_t>& order) {
  std::vector<std::vector<std::optional<float>>> result(plans.size());
  for (const int64_t i : order) engine.add(i, plans[i], num_chunks(plans[i]));
  while (engine.num_rows_waiting() > 0) {
    for (JudgedPlan& judged : engine.run_step()) result[judged.ticket] = std::move(judged.log_odds);
  }
  return result;
}

class SameBitsTest : public ::testing::TestWithParam<Setting> {
 protected:
  SameBitsTest() {
    model_ = GetParam().load({.precision = GetParam().precision});
    std::mt19937 random(17);
    for (const int64_t num_tokens : {1, 5, 63, 64, 65, 130, 200, 300, 400}) {
      plans_.push_back(random_plan(num_tokens, model_->config.vocab_size, model_->config.max_positions(), random));
    }
  }
  ~SameBitsTest() override { at::set_num_threads(num_threads_); }

  [[nodiscard]] SharedPrefixEngine engine(int64_t max_batch_tokens, std::optional<int64_t> layer_memory = {}) const {
    auto model = model_;
    if (layer_memory) {
      WeightOptions options = model_->options;
      options.layer_memory = layer_memory;
      model = GetParam().load(options);
    }
    return SharedPrefixEngine(std::make_unique<CpuStepModel>(model), max_batch_tokens);
  }

  [[nodiscard]] std::vector<std::vector<std::optional<float>>> alone() const {
    std::vector<std::vector<std::optional<float>>> result;
    for (const ScorePlan& plan : plans_) {
      SharedPrefixEngine one = engine(4096);
      result.push_back(judge(one, {plan}, {0})[0]);
    }
    return result;
  }

  std::shared_ptr<const LoadedModel> model_;
  std::vector<ScorePlan> plans_;
  int num_threads_ = at::get_num_threads();
};

TEST_P(SameBitsTest, WhateverTheOrderTheNeighboursAndTheSizeOfSteps) {
  std::mt19937 random(23);
  const int num_rounds = GetParam().checkpoint == "tiny-judge" ? 6 : 12;  // of each size once: it is large
  for (const int num_threads : {1, 2, 3}) {
    at::set_num_threads(num_threads);
    const auto expected = alone();
    std::vector<int64_t> order(plans_.size());
    std::iota(order.begin(), order.end(), 0);
    for (int round = 0; round < num_rounds; ++round) {
      std::shuffle(order.begin(), order.end(), random);
      const int64_t max_batch_tokens = std::vector<int64_t>{64, 100, 512, 777, 2048, 16384}[round % 6];
      SharedPrefixEngine mixed = engine(max_batch_tokens);
      EXPECT_EQ(judge(mixed, plans_, order), expected) << num_threads << " threads, steps of " << max_batch_tokens;
      EXPECT_EQ(judge(mixed, plans_, order), expected) << "again, with what the steps before left behind";
    }
  }
}

TEST_P(SameBitsTest, WhateverTheNumberOfThreads) {
  at::set_num_threads(1);
  const auto expected = alone();
  for (const int num_threads : {2, 3, 5}) {
    at::set_num_threads(num_threads);
    EXPECT_EQ(alone(), expected);
  }
}

TEST_P(SameBitsTest, WhenLayersAreConvertedInEveryStep) {
  SharedPrefixEngine resident = engine(1000), streamed = engine(1000, /*layer_memory=*/1);
  std::vector<int64_t> order(plans_.size());
  std::iota(order.begin(), order.end(), 0);
  EXPECT_EQ(judge(streamed, plans_, order), judge(resident, plans_, order));
}

// Section 2 of the contract: float32 within 1e-4 * max(1, |log_odds|); bfloat16 and int8 no worse than the
// oracle in that precision.
TEST_P(SameBitsTest, AgreesWithTheOracle) {
  WeightOptions options = model_->options;
  options.precision = {};
  OracleEngine oracle(GetParam().load(options)), same_dtype(model_);
  SharedPrefixEngine shared = engine(700);
  std::vector<int64_t> order(plans_.size());
  std::iota(order.begin(), order.end(), 0);
  const auto expected = judge(oracle, plans_, order), rounded = judge(same_dtype, plans_, order);
  const auto got = judge(shared, plans_, order);
  const bool is_float32 = GetParam().precision == Precision{};
  double sum = 0, worst = 0, allowed_sum = 0, allowed_worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    for (size_t chunk = 0; chunk < got[i].size(); ++chunk) {
      const double exact = *expected[i][chunk], error = std::abs(*got[i][chunk] - exact);
      const double allowed = std::abs(*rounded[i][chunk] - exact);
      if (is_float32) {
        EXPECT_LE(error, 1e-4 * std::max(1.0, std::abs(exact)));
      }
      sum += error;
      worst = std::max(worst, error);
      allowed_sum += allowed;
      allowed_worst = std::max(allowed_worst, allowed);
    }
  }
  if (!is_float32) {
    EXPECT_LE(sum, 1.25 * allowed_sum);
    EXPECT_LE(worst, 2 * allowed_worst);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, SameBitsTest,
    ::testing::Values(Setting{"golden/checkpoints/qwen2-odd-sizes"},
                      Setting{"golden/checkpoints/qwen2-odd-sizes", kBFloat16}, Setting{"golden/checkpoints/qwen3"},
                      Setting{"golden/checkpoints/qwen3", kBFloat16}, Setting{"golden/checkpoints/llama-biased"},
                      Setting{"golden/checkpoints/llama3", kBFloat16}, Setting{"golden/checkpoints/mistral-nemo"},
                      Setting{kOddHeads}, Setting{kOddHeads, kBFloat16}, Setting{"tiny-judge"},
                      Setting{"tiny-judge", kBFloat16}, Setting{"golden/checkpoints/qwen2-odd-sizes", kInt8},
                      Setting{"golden/checkpoints/llama-biased", kInt8}, Setting{kOddHeads, kInt8},
                      Setting{"tiny-judge", kInt8}));

}  // namespace
}  // namespace prm_score
