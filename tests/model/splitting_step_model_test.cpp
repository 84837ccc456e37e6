#include "prm_score/model/splitting_step_model.h"

#include <random>

#include <gtest/gtest.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

// Has memory for some rows; answers with the last id of each branch, and keeps count of the trunks' rows.
class SmallModel final : public StepModel {
 public:
  explicit SmallModel(int64_t max_rows, int64_t block_rows = 1) : max_rows_(max_rows), block_rows_(block_rows) {}

  std::vector<float> run(const Step& step) override {
    ++num_calls;
    int64_t begin = 0;
    for (const Segment& segment : step.segments) {
      EXPECT_EQ(segment.begin, begin);
      begin = segment.end;
    }
    EXPECT_EQ(begin, std::ssize(step.input_ids));
    if (begin > max_rows_) throw OutOfMemory("forward pass: too large");
    step_sizes.push_back(begin);
    std::vector<float> answers;
    for (const Segment& segment : step.segments) {
      if (!segment.extends_trunk) {
        EXPECT_LE(segment.num_shared, num_trunk_rows);
        answers.push_back(static_cast<float>(step.input_ids[segment.end - 1]));
      } else {
        num_trunk_rows += segment.num_rows();
      }
    }
    return answers;
  }
  std::shared_ptr<TrunkCache> make_trunk(int64_t) const override { return nullptr; }
  int64_t block_rows() const override { return block_rows_; }

  int64_t num_trunk_rows = 0, num_calls = 0;
  std::vector<int64_t> step_sizes;

 private:
  int64_t max_rows_, block_rows_;
};

// `num_rows` of each segment; every second one extends the trunk, the others share all that is there.
Step step_of(const std::vector<int64_t>& num_rows) {
  Step step;
  int64_t num_shared = 0;
  for (const int64_t rows : num_rows) {
    Segment segment;
    segment.num_shared = num_shared;
    segment.extends_trunk = step.segments.size() % 2 == 0;
    segment.begin = std::ssize(step.input_ids);
    segment.end = segment.begin + rows;
    for (int64_t i = 0; i < rows; ++i) step.input_ids.push_back(static_cast<int32_t>(step.input_ids.size()));
    if (segment.extends_trunk) num_shared += rows;
    step.segments.push_back(segment);
  }
  return step;
}

TEST(SplittingStepModelTest, AStepThatFitsRunsWhole) {
  auto owned = std::make_unique<SmallModel>(1000);
  SmallModel& small = *owned;
  SplittingStepModel model(std::move(owned));
  EXPECT_EQ(model.run(step_of({64, 10, 64, 10})), (std::vector<float>{73, 147}));
  EXPECT_EQ(small.step_sizes, std::vector<int64_t>{148});
}

TEST(SplittingStepModelTest, PartsGiveTheAnswersOfTheWholeInOrder) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<int64_t> sizes(2 + 2 * (random() % 20));
    for (int64_t& size : sizes) size = 1 + static_cast<int64_t>(random() % 64);
    const Step step = step_of(sizes);
    SmallModel large(1'000'000);
    auto owned = std::make_unique<SmallModel>(64 + static_cast<int64_t>(random() % 400));
    SmallModel& small = *owned;
    SplittingStepModel model(std::move(owned));
    EXPECT_EQ(model.run(step), large.run(step));
    EXPECT_EQ(small.num_trunk_rows, large.num_trunk_rows);  // nothing twice
  }
}

TEST(SplittingStepModelTest, WhatDidNotFitOnceIsNotTriedAgain) {
  auto owned = std::make_unique<SmallModel>(100);
  SmallModel& small = *owned;
  SplittingStepModel model(std::move(owned));
  const Step step = step_of({60, 30, 60, 30});
  EXPECT_EQ(model.run(step).size(), 2u);
  const int64_t num_calls = small.num_calls, num_parts = std::ssize(small.step_sizes);
  EXPECT_GT(num_calls, num_parts);
  EXPECT_EQ(model.run(step).size(), 2u);
  EXPECT_EQ(small.num_calls - num_calls, num_parts);
}

TEST(SplittingStepModelTest, ASegmentThatDoesNotFitIsAnError) {
  SplittingStepModel model(std::make_unique<SmallModel>(50));
  EXPECT_THROW((void)model.run(step_of({40, 60})), OutOfMemory);
}

TEST(SplittingStepModelTest, PartsAreWholeBlocks) {
  auto owned = std::make_unique<SmallModel>(/*max_rows=*/500, /*block_rows=*/100);
  SmallModel& small = *owned;
  SplittingStepModel model(std::move(owned));
  EXPECT_EQ(model.run(step_of(std::vector<int64_t>(90, 10))).size(), 45u);
  EXPECT_EQ(small.step_sizes, (std::vector<int64_t>{400, 400, 100}));  // of 900: 450 rows would take five blocks, too
}

TEST(SplittingStepModelTest, LessThanABlockWouldTakeAsMuch) {
  auto owned = std::make_unique<SmallModel>(/*max_rows=*/50, /*block_rows=*/100);
  SmallModel& small = *owned;
  SplittingStepModel model(std::move(owned));
  EXPECT_THROW((void)model.run(step_of(std::vector<int64_t>(40, 10))), OutOfMemory);
  EXPECT_EQ(small.num_calls, 3);  // 400, 200, 100 rows
}

TEST(SplittingStepModelTest, AnEmptyStepHasNoAnswers) {
  SplittingStepModel model(std::make_unique<SmallModel>(50));
  EXPECT_TRUE(model.run({}).empty());
}

}  // namespace
}  // namespace prm_score
