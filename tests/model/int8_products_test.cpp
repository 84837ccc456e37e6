#include "prm_score/model/int8_products.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

using Matrix = std::vector<std::vector<float>>;

Matrix normal_matrix(int64_t num_rows, int64_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, 1.0F);
  Matrix matrix(num_rows, std::vector<float>(size));
  for (auto& row : matrix) {
    const float scale = std::exp(normal(random));
    for (float& x : row) x = scale * normal(random);
  }
  return matrix;
}

// Memory of a weight, aligned.
class PackedWeight {
 public:
  explicit PackedWeight(const Matrix& rows) : PackedWeight(std::ssize(rows), std::ssize(rows[0])) {
    std::vector<float> flat;
    for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
    for (int64_t first = 0; first < weight_.num_outputs; first += 32) {
      const int64_t count = std::min<int64_t>(32, weight_.num_outputs - first), num_inputs = weight_.num_inputs;
      pack_int8_outputs(std::span<const float>(flat).subspan(first * num_inputs, count * num_inputs), num_inputs, first,
                        bytes_, scales_);
    }
  }

  [[nodiscard]] const Int8Weight& get() const { return weight_; }

 private:
  PackedWeight(int64_t num_outputs, int64_t num_inputs) : scales_(num_outputs) {
    const auto num_bytes = static_cast<size_t>(int8_packed_bytes(num_outputs, num_inputs));
    memory_.resize(num_bytes + 64);
    size_t space = memory_.size();
    void* address = memory_.data();
    bytes_ = {static_cast<uint8_t*>(std::align(64, num_bytes, address, space)), num_bytes};
    weight_ = {.packed = bytes_, .scales = scales_, .num_outputs = num_outputs, .num_inputs = num_inputs};
  }

  std::vector<uint8_t> memory_;
  std::span<uint8_t> bytes_;
  std::vector<float> scales_;
  Int8Weight weight_;
};

Int8Rows quantized(const Matrix& rows) {
  Int8Rows quantized;
  quantized.resize((std::ssize(rows) + 31) / 32 * 32, std::ssize(rows[0]));
  const std::vector<float> padding(rows[0].size());
  for (int64_t i = 0; i < quantized.num_rows(); ++i) {
    quantized.set(i, i < std::ssize(rows) ? rows[i].data() : padding.data());
  }
  return quantized;
}

std::vector<float> product(const Int8Rows& rows, const Int8Weight& weight, Int8Instructions instructions,
                           const float* bias = nullptr) {
  std::vector<float> out(rows.num_rows() * weight.num_outputs, 7.0F);
  int8_product(rows, weight, {.rows = out.data(), .bias = bias}, instructions);
  return out;
}

// A row as int8_products.h says that it is kept.
struct Rounded {
  std::vector<int64_t> values;
  float scale = 0;
};

// H x, where H[i][j] is 1 or, if i and j have an odd number of ones in common, -1: of the two halves' sum and
// difference.
std::vector<float> rotated(const std::vector<float>& x) {
  if (x.size() == 1) return x;
  const size_t half = x.size() / 2;
  std::vector<float> sums(half), differences(half);
  for (size_t i = 0; i < half; ++i) {
    sums[i] = x[i] + x[half + i];
    differences[i] = x[i] - x[half + i];
  }
  std::vector<float> result = rotated(sums);
  for (const float number : rotated(differences)) result.push_back(number);
  return result;
}

std::vector<float> rotated_in_groups(std::vector<float> row) {
  row.resize((row.size() + 63) / 64 * 64);
  std::vector<float> result;
  for (auto group = row.begin(); group != row.end(); group += 64) {
    for (const float number : rotated({group, group + 64})) result.push_back(number);
  }
  return result;
}

TEST(Int8Rotation, OfTheReferenceIsTheHadamardMatrix) {
  for (size_t j = 0; j < 64; ++j) {
    std::vector<float> unit(64);
    unit[j] = 1;
    const auto column = rotated(unit);
    for (size_t i = 0; i < 64; ++i) EXPECT_EQ(column[i], std::popcount(i & j) % 2 == 0 ? 1 : -1);
  }
}

Rounded rounded(const std::vector<float>& numbers) {
  const std::vector<float> row = rotated_in_groups(numbers);
  float largest = 0;
  for (const float x : row) largest = std::max(largest, std::abs(x));
  Rounded rounded{.values = {}, .scale = largest / 127};
  for (const float x : row) rounded.values.push_back(std::lrint(x * (127 / largest)));
  return rounded;
}

class Int8ProductsTest : public testing::TestWithParam<Int8Instructions> {};

TEST_P(Int8ProductsTest, SumsAreExact) {
  const std::vector<std::pair<int64_t, int64_t>> shapes = {{1, 1},    {3, 64},    {31, 65},   {32, 63},  {33, 112},
                                                           {64, 173}, {112, 346}, {96, 1000}, {130, 896}};
  for (const auto& [num_outputs, num_inputs] : shapes) {
    SCOPED_TRACE(std::to_string(num_outputs) + " x " + std::to_string(num_inputs));
    const Matrix rows = normal_matrix(40, num_inputs, 1), weight = normal_matrix(num_outputs, num_inputs, 2);
    const std::vector<float> bias = normal_matrix(1, num_outputs, 3)[0];
    const PackedWeight packed(weight);
    const auto out = product(quantized(rows), packed.get(), GetParam(), bias.data());
    for (int64_t r = 0; r < std::ssize(rows); ++r) {
      const Rounded row = rounded(rows[r]);
      for (int64_t n = 0; n < num_outputs; ++n) {
        const Rounded output = rounded(weight[n]);
        int64_t sum = 0;
        for (size_t k = 0; k < row.values.size(); ++k) sum += row.values[k] * output.values[k];
        volatile float scaled = static_cast<float>(sum) * (row.scale * (output.scale / 64));  // rounded before the bias
        ASSERT_EQ(out[r * num_outputs + n], scaled + bias[n]) << r << ' ' << n;
      }
    }
  }
}

TEST_P(Int8ProductsTest, TheLargestSumsHaveRoom) {
  const auto rotated_to = [](float number) {  // rotated, all numbers are this one
    std::vector<float> row(kInt8MaxInputs);
    for (size_t i = 0; i < row.size(); i += 64) row[i] = number;
    return row;
  };
  for (const float weight_sign : {1.0F, -1.0F}) {
    const PackedWeight packed({rotated_to(weight_sign), rotated_to(weight_sign)});
    for (const float row_sign : {1.0F, -1.0F}) {
      const auto out = product(quantized({rotated_to(row_sign)}), packed.get(), GetParam());
      EXPECT_FLOAT_EQ(out[0], weight_sign * row_sign * kInt8MaxInputs / 64.0F);
      EXPECT_FLOAT_EQ(out[1], weight_sign * row_sign * kInt8MaxInputs / 64.0F);
    }
  }
}

TEST_P(Int8ProductsTest, AreNearThoseOfFloats) {
  const Matrix rows = normal_matrix(32, 896, 4), weight = normal_matrix(64, 896, 5);
  const PackedWeight packed(weight);
  const auto out = product(quantized(rows), packed.get(), GetParam());
  for (int64_t r = 0; r < 32; ++r) {
    double difference = 0, size = 0;
    for (int64_t n = 0; n < 64; ++n) {
      double exact = 0, largest = 0;
      for (int64_t k = 0; k < 896; ++k) exact += double{rows[r][k]} * weight[n][k];
      for (int64_t k = 0; k < 896; ++k) largest = std::max(largest, std::abs(double{weight[n][k]}));
      difference += std::pow((out[r * 64 + n] - exact) / largest, 2);
      size += std::pow(exact / largest, 2);
    }
    EXPECT_LT(std::sqrt(difference / size), 0.02);
  }
}

TEST_P(Int8ProductsTest, ARowDoesNotFeelTheOthers) {
  const Matrix rows = normal_matrix(128, 200, 6), weight = normal_matrix(50, 200, 7);
  const PackedWeight packed(weight);
  const auto together = product(quantized(rows), packed.get(), GetParam());
  for (const int64_t r : {0, 1, 31, 32, 77, 127}) {
    const auto alone = product(quantized({rows[r]}), packed.get(), GetParam());
    EXPECT_TRUE(std::equal(alone.begin(), alone.begin() + 50, together.begin() + r * 50)) << r;
  }
}

TEST_P(Int8ProductsTest, AreAddedWhereThatIsWanted) {
  const Matrix rows = normal_matrix(32, 100, 8), weight = normal_matrix(40, 100, 9);
  const PackedWeight packed(weight);
  const auto plain = product(quantized(rows), packed.get(), GetParam());
  std::vector<float> sums(plain.size(), 0.5F);
  int8_product(quantized(rows), packed.get(), {.rows = sums.data(), .is_added = true}, GetParam());
  for (size_t i = 0; i < sums.size(); ++i) EXPECT_EQ(sums[i], 0.5F + plain[i]);
}

TEST_P(Int8ProductsTest, WhatIsNotFiniteStaysInItsRowAndItsOutput) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  Matrix rows = normal_matrix(32, 70, 10), weight = normal_matrix(40, 70, 11);
  rows[3][69] = kInfinity;
  rows[4][0] = kNan;
  rows[5].assign(70, 0.0F);
  rows[6].assign(70, std::numeric_limits<float>::denorm_min());
  weight[7][5] = -kInfinity;
  weight[8].assign(70, 0.0F);
  const PackedWeight packed(weight);
  const auto out = product(quantized(rows), packed.get(), GetParam());
  for (int64_t r = 0; r < 32; ++r) {
    for (int64_t n = 0; n < 40; ++n) {
      const float y = out[r * 40 + n];
      if (r == 3 || r == 4 || n == 7) {
        EXPECT_TRUE(std::isnan(y)) << r << ' ' << n;
      } else if (r == 5 || r == 6 || n == 8) {
        EXPECT_EQ(y, 0.0F) << r << ' ' << n;
      } else {
        EXPECT_TRUE(std::isfinite(y)) << r << ' ' << n;
      }
    }
  }
}

TEST_P(Int8ProductsTest, RowsCanBeUsedAgainForOthers) {
  const Matrix wide = normal_matrix(64, 300, 12), narrow = normal_matrix(32, 70, 13),
               weight = normal_matrix(40, 70, 14);
  const PackedWeight packed(weight);
  Int8Rows rows = quantized(wide);
  rows.resize(32, 70);
  for (int64_t i = 0; i < 32; ++i) rows.set(i, narrow[i].data());
  EXPECT_EQ(product(rows, packed.get(), GetParam()), product(quantized(narrow), packed.get(), GetParam()));
}

INSTANTIATE_TEST_SUITE_P(OfThisProcessor, Int8ProductsTest, testing::ValuesIn(int8_instructions()),
                         [](const auto& instance) {
                           std::string name;
                           for (const char c : int8_instructions_name(instance.param)) {
                             if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
                           }
                           return name;
                         });

}  // namespace
}  // namespace prm_score
