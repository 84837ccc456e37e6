#include "prm_score/model/row_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

std::vector<float> normal_row(int64_t size, unsigned seed, float scale = 1.0F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> row(size);
  for (float& x : row) x = normal(random);
  return row;
}

std::vector<c10::BFloat16> to_bfloat16(const std::vector<float>& row) { return {row.begin(), row.end()}; }

constexpr int64_t kSizes[] = {1, 2, 15, 16, 17, 112, 173, 896};

TEST(RowKernelsTest, RmsNorm) {
  for (const int64_t size : kSizes) {
    const auto row = normal_row(size, 1, 3), weight = normal_row(size, 2);
    double sum = 0;
    for (const float x : row) sum += double{x} * x;
    const double scale = 1 / std::sqrt(sum / static_cast<double>(size) + 1e-6);
    std::vector<float> out(size);
    rms_norm_row(row.data(), weight.data(), size, 1e-6F, out.data());
    std::vector<c10::BFloat16> rounded(size);
    rms_norm_row(row.data(), weight.data(), size, 1e-6F, rounded.data());
    for (int64_t i = 0; i < size; ++i) {
      const double expected = row[i] * scale * weight[i];
      EXPECT_NEAR(out[i], expected, 1e-6 * (1 + std::abs(expected)));
      EXPECT_EQ(static_cast<float>(rounded[i]), static_cast<float>(c10::BFloat16(out[i])));
    }
  }
}

TEST(RowKernelsTest, ARowOfZerosStaysZeros) {
  std::vector<float> row(40), out(40, 1.0F);
  rms_norm_row(row.data(), normal_row(40, 2).data(), 40, 1e-6F, out.data());
  EXPECT_EQ(out, row);
}

TEST(RowKernelsTest, RotationTurnsPairsAndKeepsTheirLength) {
  const std::vector<float> angles = {0.0F, 0.5F, 2.0F};
  std::vector<float> cos, sin, head = {1, 2, 3, 4, 5, 6};
  for (const float angle : angles) {
    cos.push_back(std::cos(angle));
    sin.push_back(std::sin(angle));
  }
  rotate_head(head.data(), cos.data(), sin.data(), 3);
  for (int i = 0; i < 3; ++i) {
    const double x = 1 + i, y = 4 + i, a = angles[i];
    EXPECT_NEAR(head[i], x * std::cos(a) - y * std::sin(a), 1e-6);
    EXPECT_NEAR(head[i + 3], y * std::cos(a) + x * std::sin(a), 1e-6);
  }
}

TEST(RowKernelsTest, SiluMultiply) {
  for (const int64_t size : kSizes) {
    auto gate = normal_row(size, 3, 20);
    const auto up = normal_row(size, 4);
    gate[0] = -200;
    std::vector<float> out(size);
    silu_multiply_row(gate.data(), up.data(), size, out.data());
    for (int64_t i = 0; i < size; ++i) {
      const double expected = gate[i] / (1 + std::exp(-double{gate[i]})) * up[i];
      EXPECT_NEAR(out[i], expected, 1e-6 * (std::abs(expected) + 1e-6));
    }
    const auto gate16 = to_bfloat16(gate), up16 = to_bfloat16(up);
    std::vector<c10::BFloat16> out16(size);
    silu_multiply_row(gate16.data(), up16.data(), size, out16.data());
    for (int64_t i = 0; i < size; ++i) {
      const double g = static_cast<float>(gate16[i]), expected = g / (1 + std::exp(-g)) * static_cast<float>(up16[i]);
      EXPECT_NEAR(static_cast<float>(out16[i]), expected, 0.0041 * std::abs(expected) + 1e-6);
    }
  }
}

// One column, all of whose rows count.
float weigh_one_column(std::vector<float>& scores) {
  const auto num_rows = static_cast<int32_t>(scores.size());
  float max = std::numeric_limits<float>::lowest(), sum = 0, factor = 0;
  weigh_columns({.num_columns = 1, .num_visible = &num_rows, .max = &max, .sum = &sum}, scores.data(), num_rows,
                &factor);
  return sum;
}

TEST(RowKernelsTest, ExpOverItsWholeRange) {
  std::vector<float> row;
  for (double x = -87; x <= 0; x += 0.0007) row.push_back(static_cast<float>(x));
  row.push_back(0);
  std::vector<float> out = row;
  const float sum = weigh_one_column(out);
  double expected_sum = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const double expected = std::exp(double{row[i]});
    expected_sum += expected;
    ASSERT_NEAR(out[i], expected, 2.4e-7 * expected) << row[i];
  }
  EXPECT_NEAR(sum, expected_sum, 1e-5 * expected_sum);
}

// Three blocks of rows, columns that see some of them, and none.
TEST(RowKernelsTest, ColumnsAreWeighedBlockByBlock) {
  for (const int64_t num_columns : {1, 16, 37, 64}) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal(0.0F, 9.0F);
    std::vector<float> max(num_columns, std::numeric_limits<float>::lowest()), sum(num_columns), sums(num_columns);
    std::vector<double> expected_sum(num_columns), expected_max(num_columns, -1e30);
    for (int block = 0; block < 3; ++block) {
      constexpr int64_t kRows = 21;
      std::vector<float> scores(kRows * num_columns), factors(num_columns);
      std::vector<int32_t> num_visible(num_columns);
      for (float& score : scores) score = normal(random);
      for (int32_t& visible : num_visible) visible = static_cast<int32_t>(random() % (kRows + 1));
      const std::vector<float> before = scores;
      const bool is_moved = weigh_columns(
          {.num_columns = num_columns, .num_visible = num_visible.data(), .max = max.data(), .sum = sum.data()},
          scores.data(), kRows, factors.data());
      EXPECT_EQ(is_moved, !std::ranges::all_of(factors, [](float factor) { return factor == 1.0F; }));
      if (is_moved) scale_columns(factors.data(), num_columns, 1, sums.data());
      for (int64_t i = 0; i < num_columns; ++i) {
        const double max_before = expected_max[i];
        for (int64_t row = 0; row < num_visible[i]; ++row) {
          expected_max[i] = std::max<double>(expected_max[i], before[row * num_columns + i]);
        }
        expected_sum[i] *= std::exp(max_before - expected_max[i]);
        for (int64_t row = 0; row < kRows; ++row) {
          const float weight = scores[row * num_columns + i];
          sums[i] += weight;
          const float distance = before[row * num_columns + i] - max[i];
          const double expected = row < num_visible[i] ? std::exp(double{distance}) : 0;
          EXPECT_NEAR(weight, expected, 3e-7 * expected);
          expected_sum[i] += expected;
        }
        EXPECT_NEAR(sum[i], expected_sum[i], 1e-5 * expected_sum[i]);
        EXPECT_NEAR(sums[i], expected_sum[i], 1e-5 * expected_sum[i]);  // what was summed up before counts the same
      }
    }
  }
}

TEST(RowKernelsTest, NonFiniteNumbersAreNotLost) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, inf}) {
    for (const int64_t place : {0, 5, 20}) {
      std::vector<float> row(21, 1.0F), out(21);
      row[place] = bad;
      rms_norm_row(row.data(), std::vector<float>(21, 1.0F).data(), 21, 1e-6F, out.data());
      EXPECT_FALSE(std::isfinite(std::accumulate(out.begin(), out.end(), 0.0F)));
      std::vector<float> weights = row;
      EXPECT_TRUE(std::isnan(weigh_one_column(weights))) << bad << " at " << place;
    }
  }
  c10::BFloat16 stored;
  scale_row(&nan, 1.0F, 1, &stored);
  EXPECT_TRUE(std::isnan(static_cast<float>(stored)));
}

TEST(RowKernelsTest, Bfloat16IsRoundedToTheNearestEven) {
  auto row = normal_row(5000, 6);
  row.insert(row.end(), {1.00390625F, 1.01171875F, 3.4e38F, -0.0F, 1e-40F});
  std::vector<c10::BFloat16> out(row.size());
  scale_row(row.data(), 1.0F, std::ssize(row), out.data());
  for (size_t i = 0; i < row.size(); ++i) EXPECT_EQ(out[i].x, c10::BFloat16(row[i]).x) << row[i];
}

TEST(RowKernelsTest, SumsAndProducts) {
  for (const int64_t size : kSizes) {
    const auto a = normal_row(size, 7), b = normal_row(size, 8);
    EXPECT_NEAR(dot(a.data(), b.data(), size), std::inner_product(a.begin(), a.end(), b.begin(), 0.0),
                1e-5 * static_cast<double>(size));
    std::vector<float> sum = a;
    add_row(b.data(), size, sum.data());
    for (int64_t i = 0; i < size; ++i) EXPECT_EQ(sum[i], a[i] + b[i]);
  }
}

}  // namespace
}  // namespace prm_score
