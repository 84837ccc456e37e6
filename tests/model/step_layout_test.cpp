#include "prm_score/model/step_layout.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

std::shared_ptr<TrunkCache> trunk_of(int64_t num_rows) {
  ModelConfig config;
  config.num_hidden_layers = config.num_key_value_heads = config.head_dim = 1;
  return std::make_shared<TrunkCache>(config, num_rows, config.key_value_size(), at::TensorOptions());
}

void append(Step& step, Segment segment, int64_t num_rows, int32_t first_id) {
  segment.begin = std::ssize(step.input_ids);
  segment.end = segment.begin + num_rows;
  for (int32_t i = 0; i < num_rows; ++i) step.input_ids.push_back(first_id + i);
  step.segments.push_back(segment);
}

TEST(StepLayoutTest, TrunkRowsComeFirstAndBranchesKeepTheirOrder) {
  const auto a = trunk_of(100), b = trunk_of(70);
  Step step;
  append(step, {}, 3, 1000);  // shares nothing
  append(step, {.trunk = a, .num_shared = 0, .extends_trunk = true}, 64, 0);
  append(step, {.trunk = a, .num_shared = 50}, 2, 2000);
  append(step, {.trunk = a, .num_shared = 64, .extends_trunk = true}, 36, 64);
  append(step, {.trunk = b, .num_shared = 64}, 4, 3000);

  const StepLayout layout = make_step_layout(step);
  EXPECT_EQ(layout.num_rows(), 109);
  EXPECT_EQ(layout.num_trunk_rows, 100);
  for (int32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(layout.input_ids[i], i);
    EXPECT_EQ(layout.positions[i], i);
  }
  EXPECT_EQ(std::vector<int32_t>(layout.input_ids.begin() + 100, layout.input_ids.end()),
            (std::vector<int32_t>{1000, 1001, 1002, 2000, 2001, 3000, 3001, 3002, 3003}));
  EXPECT_EQ(std::vector<int64_t>(layout.positions.begin() + 100, layout.positions.end()),
            (std::vector<int64_t>{0, 1, 2, 50, 51, 64, 65, 66, 67}));
  EXPECT_EQ(layout.answer_rows, (std::vector<int64_t>{102, 104, 108}));

  ASSERT_EQ(layout.trunks.size(), 2u);
  EXPECT_EQ(layout.total_trunk_size, 170);
  EXPECT_EQ(layout.tiles, (std::vector<KeySpan>{{0, 64, 0, 64}, {64, 100, 0, 100}}));
  EXPECT_EQ(layout.branches, (std::vector<KeySpan>{{0, 3, 0, 3}, {3, 5, 3, 2}, {5, 9, 5, 4}}));
  EXPECT_EQ(layout.shared, (std::vector<KeySpan>{{0, 3, 0, 0}, {3, 5, 0, 50}, {5, 9, 100, 64}}));

  ASSERT_EQ(layout.extensions.size(), 1u);  // both tiles in one go
  EXPECT_EQ(layout.extensions[0].trunk, a);
  EXPECT_EQ(layout.extensions[0].row, 0);
  EXPECT_EQ(layout.extensions[0].trunk_row, 0);
  EXPECT_EQ(layout.extensions[0].num_rows, 100);
}

TEST(StepLayoutTest, ALongSegmentIsCutIntoTilesFromItsTrunksStart) {
  const auto trunk = trunk_of(500);
  Step step;
  append(step, {.trunk = trunk, .num_shared = 128, .extends_trunk = true}, 150, 0);
  const StepLayout layout = make_step_layout(step);
  EXPECT_EQ(layout.tiles, (std::vector<KeySpan>{{0, 64, 0, 192}, {64, 128, 0, 256}, {128, 150, 0, 278}}));
  EXPECT_EQ(layout.extensions[0].trunk_row, 128);
}

TEST(StepLayoutTest, TrunksOfTwoDocumentsAreExtendedApart) {
  const auto a = trunk_of(64), b = trunk_of(64);
  Step step;
  append(step, {.trunk = a, .num_shared = 0, .extends_trunk = true}, 64, 0);
  append(step, {.trunk = b, .num_shared = 0, .extends_trunk = true}, 64, 0);
  const StepLayout layout = make_step_layout(step);
  ASSERT_EQ(layout.extensions.size(), 2u);
  EXPECT_EQ(layout.extensions[1].trunk, b);
  EXPECT_EQ(layout.extensions[1].row, 64);
  EXPECT_EQ(layout.tiles[1], (KeySpan{64, 128, 64, 64}));
  EXPECT_TRUE(layout.branches.empty());
}

}  // namespace
}  // namespace prm_score
