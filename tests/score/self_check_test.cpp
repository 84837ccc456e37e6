#include "prm_score/score/self_check.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "prm_score/error.h"
#include "prm_score/model/cpu_step_model.h"
#include "prm_score/score/shared_prefix_engine.h"

namespace prm_score {
namespace {

std::shared_ptr<const LoadedModel> small_model(at::ScalarType dtype) {
  return load_model(std::filesystem::path(PRM_SCORE_DATA_DIR) / "golden" / "checkpoints" / "qwen2-odd-sizes",
                    {.precision = {.dtype = dtype}, .label_a_id = 32, .label_b_id = 33});
}

// The real engine, but for one answer.
class OffBy final : public StepModel {
 public:
  OffBy(const std::shared_ptr<const LoadedModel>& model, float distance) : model_(model), distance_(distance) {}

  std::vector<float> run(const Step& step) override {
    auto answers = model_.run(step);
    if (!answers.empty()) answers.back() += distance_;
    return answers;
  }
  std::shared_ptr<TrunkCache> make_trunk(int64_t num_rows) const override { return model_.make_trunk(num_rows); }
  int64_t block_rows() const override { return model_.block_rows(); }

 private:
  CpuStepModel model_;
  float distance_;
};

std::string error_when_off_by(float distance, at::ScalarType dtype) {
  const auto model = small_model(dtype);
  SharedPrefixEngine engine(std::make_unique<OffBy>(model, distance), 1000);
  try {
    self_check(engine, model);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(SelfCheckTest, TheEngineHolds) {
  EXPECT_EQ(error_when_off_by(0.0F, at::kFloat), "");
  EXPECT_EQ(error_when_off_by(0.0F, at::kBFloat16), "");
}

TEST(SelfCheckTest, OneWrongAnswerIsFound) {
  const std::string error = error_when_off_by(0.01F, at::kFloat);
  EXPECT_TRUE(error.starts_with("self-check: sequence ")) << error;
  EXPECT_NE(error.find("expected log-odds"), std::string::npos) << error;
  EXPECT_NE(error_when_off_by(std::numeric_limits<float>::quiet_NaN(), at::kFloat), "");
}

TEST(SelfCheckTest, InBfloat16ItIsHeldToTheOraclesOwnError) {
  EXPECT_TRUE(error_when_off_by(5.0F, at::kBFloat16).starts_with("self-check: ")) << "5 nats";
  EXPECT_NE(error_when_off_by(std::numeric_limits<float>::quiet_NaN(), at::kBFloat16), "");
}

TEST(SelfCheckTest, PlansFitTheModel) {
  for (const int64_t max_positions : {1, 8, 100, 4096}) {
    for (const ScorePlan& plan : self_check_plans(50, max_positions)) {
      ASSERT_FALSE(plan.trunks[0].branches.empty());
      for (const Branch& branch : plan.trunks[0].branches) {
        EXPECT_LE(branch.num_shared + std::ssize(branch.ids), max_positions);
        for (const TokenId id : branch.ids) EXPECT_LT(id, 50);
      }
    }
  }
}

}  // namespace
}  // namespace prm_score
