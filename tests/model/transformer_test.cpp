#include "prm_score/model/transformer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

#include "tiny_checkpoint.h"
#include <gtest/gtest.h>

namespace prm_score {
namespace {

const WeightOptions kOptions = {.label_a_id = 0, .label_b_id = 2};

class TinyTransformerTest : public ::testing::Test {
 protected:
  Transformer open(const WeightOptions& options = kOptions) {
    checkpoint_.write(folder_);
    return Transformer(folder_.path(), options);
  }
  std::string open_error() {
    return error_of([&] { (void)open(); });
  }

  TempFolder folder_;
  TinyCheckpoint checkpoint_;
};

TEST_F(TinyTransformerTest, LogOddsAreTheHeadsDifferenceOnTheLastToken) {
  // Ids 0, 1, 2 normed: (2, 0, 0, 0), (1, 1, -1, -10), (0, 0, 0, 20); w_A - w_B = (0.25, 2, 0, 0).
  const Transformer transformer = open();
  EXPECT_FLOAT_EQ(transformer.log_odds(std::vector<int32_t>{0}), 0.5f);
  EXPECT_FLOAT_EQ(transformer.log_odds(std::vector<int32_t>{0, 2, 1}), 2.25f);
  EXPECT_FLOAT_EQ(transformer.log_odds(std::vector<int32_t>{1, 2}), 0.0f);
}

TEST_F(TinyTransformerTest, SwappedLabelsSwapTheSign) {
  EXPECT_FLOAT_EQ(open({.label_a_id = 2, .label_b_id = 0}).log_odds(std::vector<int32_t>{1}), -2.25f);
}

TEST_F(TinyTransformerTest, HeadIsInFloat32WhateverTheComputeDtype) {
  // 0.2509765625 + 2 needs more than the 8 bits of bfloat16.
  checkpoint_.tensor("lm_head.weight").bytes = float32_bytes({0.5009765625, 3, 0, 0, 7, 7, 7, 7, 0.25, 1, 0, 0});
  const Transformer transformer = open({.precision = {.dtype = at::kBFloat16}, .label_a_id = 0, .label_b_id = 2});
  EXPECT_FLOAT_EQ(transformer.log_odds(std::vector<int32_t>{1}), 2.2509765625f);
}

TEST_F(TinyTransformerTest, HiddenStatesAreTheInputsOfTheLayersAndTheLastOutput) {
  const std::vector<at::Tensor> states = open().hidden_states(std::vector<int32_t>{1, 0});
  ASSERT_EQ(states.size(), 2u);
  EXPECT_EQ(states[1].sizes(), (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(states[1][1][0].item().toFloat(), 2.0f);
}

TEST_F(TinyTransformerTest, NonFiniteResultsAreReturnedAsTheyAre) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  checkpoint_.tensor("model.norm.weight").bytes = float32_bytes({nan, 1, 1, 1});
  EXPECT_TRUE(std::isnan(open().log_odds(std::vector<int32_t>{0})));
}

TEST_F(TinyTransformerTest, RejectsPromptsThatDoNotFit) {
  const Transformer transformer = open();
  const auto error = [&](const std::vector<int32_t>& ids) {
    return error_of([&] { (void)transformer.log_odds(ids); });
  };
  EXPECT_EQ(error(std::vector<int32_t>(8, 0)), "");
  EXPECT_EQ(error(std::vector<int32_t>(9, 0)), "input_ids: expected 1 to 8 tokens, got 9");
  EXPECT_EQ(error({}), "input_ids: expected 1 to 8 tokens, got 0");
  EXPECT_EQ(error({0, 3}), "input_ids: expected ids from 0 to 2 (vocab_size), got 3");
  EXPECT_EQ(error({-1}), "input_ids: expected ids from 0 to 2 (vocab_size), got -1");
}

TEST_F(TinyTransformerTest, ASlidingWindowBoundsThePrompt) {
  checkpoint_.config["model_type"] = "mistral";
  checkpoint_.config["sliding_window"] = 5;
  const Transformer transformer = open();
  EXPECT_NO_THROW((void)transformer.log_odds(std::vector<int32_t>(5, 0)));
  EXPECT_EQ(error_of([&] { (void)transformer.log_odds(std::vector<int32_t>(6, 0)); }),
            "input_ids: expected 1 to 5 tokens, got 6");
}

TEST_F(TinyTransformerTest, BrokenFilesAreErrorsWithTheirPlace) {
  checkpoint_.config["model_type"] = "gpt2";
  EXPECT_EQ(open_error(),
            (folder_ / "config.json").string() + ": model_type: expected qwen2, qwen3, llama or mistral, got \"gpt2\"");
  checkpoint_.config["model_type"] = "llama";
  checkpoint_.write(folder_);
  std::filesystem::resize_file(folder_ / "model.safetensors", 700);
  EXPECT_NE(error_of([&] { Transformer(folder_.path(), kOptions); }).find("model.safetensors: ends early: "),
            std::string::npos);
}

TEST_F(TinyTransformerTest, SeveralThreadsGetTheSameBits) {
  const Transformer transformer = open();
  const std::vector<int32_t> input_ids = {0, 1, 2, 1};
  const float expected = transformer.log_odds(input_ids);
  std::vector<int> num_different(4, 0);
  std::vector<std::thread> threads;
  for (int& count : num_different) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) count += transformer.log_odds(input_ids) != expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(num_different, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace prm_score
