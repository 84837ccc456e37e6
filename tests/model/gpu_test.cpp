// What only a GPU can show: that its kernels do what the engine asks of them, with the same bits wherever a row lies.
// Skipped without one. The first thing of each test is to look for the GPU: libtorch does so but once.
#include <algorithm>
#include <bit>
#include <filesystem>
#include <random>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "prm_score/model/device.h"
#include "prm_score/model/device_step_model.h"
#include "prm_score/model/varlen_attention.h"
#include "prm_score/score/engine.h"
#include "prm_score/score/self_check.h"

namespace prm_score {
namespace {

bool has_gpu() {
  static const bool found = parse_device("auto").is_cuda();
  return found;
}

#define SKIP_WITHOUT_GPU() \
  if (!has_gpu()) GTEST_SKIP() << "no GPU"

std::shared_ptr<const LoadedModel> judge_on_gpu(const char* folder, at::ScalarType dtype) {
  return load_model(std::filesystem::path(PRM_SCORE_DATA_DIR) / folder,
                    {.device = at::kCUDA, .dtype = dtype, .label_a_id = 32, .label_b_id = 33});
}

TEST(GpuTest, FlashAttentionDoesWhatPlainProductsDo) {
  SKIP_WITHOUT_GPU();
  at::manual_seed(4);
  const at::TensorOptions options = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  const at::Tensor query = at::randn({11, 6, 64}).to(options), key = at::randn({20, 2, 64}).to(options),
                   value = at::randn({20, 2, 64}).to(options);
  const std::vector<KeySpan> spans = {{0, 3, 4, 9}, {3, 4, 4, 2}, {4, 9, 0, 20}, {9, 11, 4, 9}};
  for (const bool is_causal : {false, true}) {
    const VarlenPlan plan = make_varlen_plan(spans, is_causal, at::kCUDA);
    const Attended flash = FlashAttention().attend(query, key, value, plan);
    const Attended plain = SpanwiseAttention().attend(query, key, value, plan);
    EXPECT_TRUE(at::allclose(flash.log_sum_exp, plain.log_sum_exp, 1e-2, 1e-2));
    EXPECT_TRUE(at::allclose(flash.rows.to(at::kFloat), plain.rows.to(at::kFloat), 2e-2, 2e-2));
  }
}

TEST(GpuTest, TheEngineHoldsAgainstEachPromptOnItsOwn) {
  SKIP_WITHOUT_GPU();
  for (const char* folder : {"tiny-judge", "golden/checkpoints/qwen2-odd-sizes", "golden/checkpoints/qwen3"}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const auto model = judge_on_gpu(folder, dtype);
      SharedPrefixEngine engine(std::make_unique<DeviceStepModel>(model), 5000);
      EXPECT_NO_THROW(self_check(engine, model)) << folder << " " << dtype_name(dtype);
    }
  }
}

using LogOdds = std::vector<std::vector<std::optional<float>>>;

// Of the plans, given to the engine in `order`.
LogOdds judge(const std::shared_ptr<const LoadedModel>& model, const std::vector<ScorePlan>& plans,
              const std::vector<size_t>& order, int64_t max_batch_tokens) {
  SharedPrefixEngine engine(std::make_unique<DeviceStepModel>(model), max_batch_tokens);
  LogOdds result(plans.size());
  for (const size_t i : order) {
    int64_t num_chunks = 0;
    for (const TrunkPlan& trunk : plans[i].trunks) num_chunks += std::ssize(trunk.branches);
    engine.add(static_cast<int64_t>(i), plans[i], num_chunks);
  }
  while (engine.num_rows_waiting() > 0) {
    for (JudgedPlan& judged : engine.run_step()) result[judged.ticket] = std::move(judged.log_odds);
  }
  return result;
}

TEST(GpuTest, SameBitsInAnyOrderAndStep) {
  SKIP_WITHOUT_GPU();
  std::mt19937 random(12);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto model = judge_on_gpu("tiny-judge", dtype);
    const auto plans = self_check_plans(model->config.vocab_size, model->config.max_positions());
    std::vector<size_t> order(plans.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    const LogOdds expected = judge(model, plans, order, 100'000);
    for (int round = 0; round < 40; ++round) {
      std::shuffle(order.begin(), order.end(), random);
      const LogOdds found = judge(model, plans, order, 64 + static_cast<int64_t>(random() % 9000));
      for (size_t i = 0; i < plans.size(); ++i) {
        for (size_t chunk = 0; chunk < found[i].size(); ++chunk) {
          EXPECT_EQ(std::bit_cast<uint32_t>(*found[i][chunk]), std::bit_cast<uint32_t>(*expected[i][chunk]))
              << dtype_name(dtype) << ", plan " << i << ", chunk " << chunk;
        }
      }
    }
  }
}

}  // namespace
}  // namespace prm_score
