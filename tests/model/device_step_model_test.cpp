// The engine for GPUs, run on the CPU: all of it but the GPU's kernels.
#include "prm_score/model/device_step_model.h"

#include <filesystem>

#include "judge_plans.h"
#include <gtest/gtest.h>

#include "prm_score/model/cpu_step_model.h"
#include "prm_score/model/precision.h"
#include "prm_score/score/engine.h"
#include "prm_score/score/self_check.h"
#include "prm_score/score/shared_prefix_engine.h"

namespace prm_score {
namespace {

struct Case {
  const char* checkpoint;
  Precision precision = {};
};

constexpr Precision kBFloat16 = {.dtype = at::kBFloat16};
constexpr Precision kFp8 = {.dtype = at::kBFloat16, .quantization = Quantization::kFp8};

class DeviceStepModelTest : public ::testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] static std::shared_ptr<const LoadedModel> model() {
    return load_model(std::filesystem::path(PRM_SCORE_DATA_DIR) / "golden" / "checkpoints" / GetParam().checkpoint,
                      {.precision = GetParam().precision, .label_a_id = 32, .label_b_id = 33});
  }
};

TEST_P(DeviceStepModelTest, AgreesWithEachPromptOnItsOwn) {
  const auto judge_model = model();
  for (const int64_t max_batch_tokens : {64, 300, 100'000}) {
    SharedPrefixEngine engine(std::make_unique<DeviceStepModel>(judge_model, /*block_rows=*/128), max_batch_tokens);
    EXPECT_NO_THROW(self_check(engine, judge_model));
  }
}

// Float32 alone: a bit that differs early on moves bfloat16 further than this.
TEST_P(DeviceStepModelTest, AgreesWithTheCpusOwnEngine) {
  if (GetParam().precision != Precision{}) GTEST_SKIP();
  const auto judge_model = model();
  const auto plans = self_check_plans(judge_model->config.vocab_size, judge_model->config.max_positions());
  SharedPrefixEngine device(std::make_unique<DeviceStepModel>(judge_model, 256), 1000);
  SharedPrefixEngine cpu(std::make_unique<CpuStepModel>(judge_model), 1000);
  const LogOdds found = judge_plans(device, plans), expected = judge_plans(cpu, plans);
  for (size_t i = 0; i < plans.size(); ++i) {
    ASSERT_EQ(found[i].size(), expected[i].size());
    for (size_t chunk = 0; chunk < found[i].size(); ++chunk) {
      EXPECT_NEAR(*found[i][chunk], *expected[i][chunk], 2e-5 * std::max(1.0F, std::abs(*expected[i][chunk])));
    }
  }
}

// All that is rounded and all that is not: seven layers.
TEST(DeviceStepModelInFp8, AgreesWithEachPromptOnItsOwn) {
  const auto judge_model = load_model(std::filesystem::path(PRM_SCORE_DATA_DIR) / "tiny-judge",
                                      {.precision = kFp8, .label_a_id = 32, .label_b_id = 33});
  EXPECT_EQ(judge_model->weights.layer(0).qkv_proj.weight.scalar_type(), at::kBFloat16);
  EXPECT_EQ(judge_model->weights.layer(1).down_proj.weight.scalar_type(), at::kFloat8_e4m3fn);
  SharedPrefixEngine engine(std::make_unique<DeviceStepModel>(judge_model, /*block_rows=*/128), 1000);
  EXPECT_NO_THROW(self_check(engine, judge_model));
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, DeviceStepModelTest,
                         ::testing::Values(Case{"qwen2-odd-sizes"}, Case{"qwen2-odd-sizes", kBFloat16}, Case{"qwen3"},
                                           Case{"llama-biased"}, Case{"llama3"}),
                         [](const auto& named) {
                           std::string name = std::string(named.param.checkpoint) + "_" +
                                              std::string(precision_name(named.param.precision));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace prm_score
