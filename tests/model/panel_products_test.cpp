#include "prm_score/model/panel_products.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

std::vector<float> normal_numbers(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(count);
  for (float& x : numbers) x = normal(random);
  return numbers;
}

class PanelProductsTest : public ::testing::TestWithParam<PanelInstructions> {};

TEST_P(PanelProductsTest, AreProductsOfMatrices) {
  for (const int64_t width : {16, 32, 48, 64}) {
    for (const int64_t num_rows : {1, 3, 4, 10, 64}) {
      for (const bool is_transposed : {false, true}) {
        constexpr int64_t kInner = 37;
        const int64_t stride = (is_transposed ? num_rows : kInner) + 3;
        const auto left = normal_numbers(stride * (is_transposed ? kInner : num_rows), 1);
        const auto panel = normal_numbers(kInner * width, 2), before = normal_numbers(num_rows * width, 3);
        const StridedMatrix matrix = {.data = left.data(),
                                      .row_stride = is_transposed ? 1 : stride,
                                      .column_stride = is_transposed ? stride : 1,
                                      .num_rows = num_rows,
                                      .num_columns = kInner};
        for (const bool add : {false, true}) {
          std::vector<float> out = before;
          multiply_panel(matrix, {.data = panel.data(), .width = width}, add, out.data(), GetParam());
          for (int64_t row = 0; row < num_rows; ++row) {
            for (int64_t column = 0; column < width; ++column) {
              double expected = add ? before[row * width + column] : 0;
              for (int64_t k = 0; k < kInner; ++k) {
                expected +=
                    double{left[row * matrix.row_stride + k * matrix.column_stride]} * panel[k * width + column];
              }
              EXPECT_NEAR(out[row * width + column], expected, 1e-5) << width << " " << row << " " << column;
            }
          }
        }
      }
    }
  }
}

// Columns one by one, wherever they are put, give what they give together.
TEST_P(PanelProductsTest, AColumnsBitsAreItsOwn) {
  constexpr int64_t kInner = 100, kRows = 7;
  const auto left = normal_numbers(kRows * kInner, 4), whole = normal_numbers(kInner * kPanelWidth, 5);
  const StridedMatrix matrix = {
      .data = left.data(), .row_stride = kInner, .column_stride = 1, .num_rows = kRows, .num_columns = kInner};
  std::vector<float> expected(kRows * kPanelWidth);
  multiply_panel(matrix, {.data = whole.data(), .width = kPanelWidth}, /*add=*/false, expected.data(), GetParam());
  for (const int64_t width : {16, 32, 48, 64}) {
    for (int64_t column = 0; column < kPanelWidth; column += 5) {
      const int64_t to = (column * 7) % width, row = column % kRows;
      std::vector<float> memory(kInner * width + 1, 99.0F), out(width + 1);
      for (int64_t k = 0; k < kInner; ++k) memory[1 + k * width + to] = whole[k * kPanelWidth + column];
      StridedMatrix one_row = matrix;
      one_row.data += row * kInner;
      one_row.num_rows = 1;
      multiply_panel(one_row, {.data = memory.data() + 1, .width = width}, /*add=*/false, out.data() + 1, GetParam());
      EXPECT_EQ(out[1 + to], expected[row * kPanelWidth + column]) << width << " " << column;
    }
  }
}

// The compiler is free to fuse, but not told to.
TEST_P(PanelProductsTest, ProductsAreFusedWithTheirSums) {
  if (GetParam() == PanelInstructions::kPortable) GTEST_SKIP() << "not fused";
  constexpr int64_t kInner = 200;
  for (const int64_t width : {16, 32, 48, 64}) {
    for (const int64_t num_rows : {1, 4, 8, 9}) {
      const auto left = normal_numbers(num_rows * kInner, 6), panel = normal_numbers(kInner * width, 7);
      const auto before = normal_numbers(num_rows * width, 8);
      const StridedMatrix matrix = {
          .data = left.data(), .row_stride = kInner, .column_stride = 1, .num_rows = num_rows, .num_columns = kInner};
      for (const bool add : {false, true}) {
        std::vector<float> out = before;
        multiply_panel(matrix, {.data = panel.data(), .width = width}, add, out.data(), GetParam());
        for (int64_t i = 0; i < num_rows * width; ++i) {
          float sum = 0;
          for (int64_t k = 0; k < kInner; ++k) {
            sum = std::fma(left[i / width * kInner + k], panel[k * width + i % width], sum);
          }
          ASSERT_EQ(out[i], add ? before[i] + sum : sum) << width << " " << num_rows << " " << i;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Instructions, PanelProductsTest, ::testing::ValuesIn(panel_instructions()));

}  // namespace
}  // namespace prm_score
