#include "prm_score/model/segment_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <c10/util/BFloat16.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

struct Case {
  int64_t num_queries, num_heads, head_dim, num_shared, num_own, own_visible;
};

// Rows of random numbers, with more columns than the head needs, as they lie in a model's matrices.
template <typename T>
struct Rows {
  Rows(int64_t num_rows, int64_t row_stride, unsigned seed) : stride(row_stride), data(num_rows * row_stride) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0F, 1.5F);
    for (T& x : data) x = static_cast<T>(normal(random));
  }
  [[nodiscard]] double at(int64_t row, int64_t column) const {
    return static_cast<double>(static_cast<float>(data[row * stride + column]));
  }
  int64_t stride;
  std::vector<T> data;
};

// Softmax attention in float64, all keys at once.
template <typename T>
std::vector<double> expected_row(const Case& c, const Rows<T>& queries, const Rows<T>& shared, const Rows<T>& own,
                                 int64_t value_offset, int64_t query, int64_t head) {
  std::vector<double> weights, out(c.head_dim, 0.0);
  const int64_t num_own = std::min(c.num_own, c.own_visible + query);
  double total = 0;
  for (int64_t key = 0; key < c.num_shared + num_own; ++key) {
    const bool is_shared = key < c.num_shared;
    const Rows<T>& rows = is_shared ? shared : own;
    double score = 0;
    for (int64_t i = 0; i < c.head_dim; ++i) {
      score += queries.at(query, head * c.head_dim + i) * rows.at(is_shared ? key : key - c.num_shared, i);
    }
    weights.push_back(std::exp(score / std::sqrt(static_cast<double>(c.head_dim))));
    total += weights.back();
  }
  for (int64_t key = 0; key < std::ssize(weights); ++key) {
    const bool is_shared = key < c.num_shared;
    const Rows<T>& rows = is_shared ? shared : own;
    for (int64_t i = 0; i < c.head_dim; ++i) {
      out[i] += weights[key] / total * rows.at(is_shared ? key : key - c.num_shared, value_offset + i);
    }
  }
  return out;
}

template <typename T>
void expect_attention(const Case& c, double tolerance) {
  const int64_t stride = 2 * c.head_dim + 3, query_stride = c.num_heads * c.head_dim + 5;
  const Rows<T> queries(c.num_queries, query_stride, 1), shared(c.num_shared, stride, 2), own(c.num_own, stride, 3);
  Rows<T> out(c.num_queries, query_stride, 4);
  const auto key_values = [&](const Rows<T>& rows, int64_t num_rows) {
    return KeyValueRows<T>{
        .keys = rows.data.data(), .values = rows.data.data() + c.head_dim, .row_stride = stride, .num_rows = num_rows};
  };
  AttentionScratch scratch;
  for (int again = 0; again < 2; ++again) {  // what is left in the scratch memory must not matter
    attend<T>({.queries = queries.data.data(),
               .query_stride = query_stride,
               .out = out.data.data(),
               .out_stride = query_stride,
               .num_rows = c.num_queries,
               .num_heads = c.num_heads},
              key_values(shared, c.num_shared), key_values(own, c.num_own), c.own_visible, c.head_dim, scratch);
    for (int64_t query = 0; query < c.num_queries; ++query) {
      for (int64_t head = 0; head < c.num_heads; ++head) {
        const auto expected = expected_row(c, queries, shared, own, c.head_dim, query, head);
        for (int64_t i = 0; i < c.head_dim; ++i) {
          EXPECT_NEAR(out.at(query, head * c.head_dim + i), expected[i], tolerance) << query << " " << head;
        }
      }
    }
  }
}

constexpr Case kCases[] = {
    {.num_queries = 1, .num_heads = 1, .head_dim = 8, .num_shared = 0, .num_own = 1, .own_visible = 1},
    {.num_queries = 64, .num_heads = 7, .head_dim = 16, .num_shared = 0, .num_own = 64, .own_visible = 1},
    {.num_queries = 23, .num_heads = 2, .head_dim = 64, .num_shared = 700, .num_own = 87, .own_visible = 65},
    {.num_queries = 40, .num_heads = 3, .head_dim = 10, .num_shared = 256, .num_own = 600, .own_visible = 230},
    {.num_queries = 1, .num_heads = 4, .head_dim = 32, .num_shared = 513, .num_own = 90, .own_visible = 90},
    {.num_queries = 23, .num_heads = 3, .head_dim = 128, .num_shared = 300, .num_own = 87, .own_visible = 65},
    {.num_queries = 64, .num_heads = 1, .head_dim = 5, .num_shared = 0, .num_own = 192, .own_visible = 129},
};

TEST(AttendTest, IsSoftmaxAttentionToBothPlaces) {
  for (const Case& c : kCases) expect_attention<float>(c, 2e-5);
}

TEST(AttendTest, InBfloat16OnlyTheResultIsRounded) {
  for (const Case& c : kCases) expect_attention<c10::BFloat16>(c, 0.02);
}

// Whichever queries and heads are in the same call.
TEST(AttendTest, AQuerysBitsAreItsOwn) {
  constexpr int64_t kQueries = 50, kHeads = 3, kHeadDim = 20, kShared = 200, kVisible = 15;
  constexpr int64_t kStride = kHeads * kHeadDim;
  const Rows<float> queries(kQueries, kStride, 1), shared(kShared, 2 * kHeadDim, 2), own(80, 2 * kHeadDim, 3);
  const auto key_values = [](const Rows<float>& rows, int64_t num_rows) {
    return KeyValueRows<float>{.keys = rows.data.data(),
                               .values = rows.data.data() + kHeadDim,
                               .row_stride = rows.stride,
                               .num_rows = num_rows};
  };
  std::vector<float> together(kQueries * kStride), alone(kHeadDim);
  AttentionScratch scratch;
  attend<float>({.queries = queries.data.data(),
                 .query_stride = kStride,
                 .out = together.data(),
                 .out_stride = kStride,
                 .num_rows = kQueries,
                 .num_heads = kHeads},
                key_values(shared, kShared), key_values(own, 80), kVisible, kHeadDim, scratch);
  for (int64_t query = 0; query < kQueries; ++query) {
    for (int64_t head = 0; head < kHeads; ++head) {
      const int64_t place = query * kStride + head * kHeadDim;
      attend<float>({.queries = queries.data.data() + place,
                     .query_stride = kStride,
                     .out = alone.data(),
                     .out_stride = kHeadDim,
                     .num_rows = 1,
                     .num_heads = 1},
                    key_values(shared, kShared), key_values(own, kVisible + query), kVisible + query, kHeadDim,
                    scratch);
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + place)) << query << " " << head;
    }
  }
}

// One query, one key [1, 1, 1, 1] and its value: what comes out.
float attended_to_one_key(float query, float value) {
  const std::vector<float> queries(4, query), keys(4, 1.0F), values(4, value);
  std::vector<float> out(4);
  AttentionScratch scratch;
  attend<float>(
      {.queries = queries.data(), .query_stride = 4, .out = out.data(), .out_stride = 4, .num_rows = 1, .num_heads = 1},
      {}, {.keys = keys.data(), .values = values.data(), .row_stride = 4, .num_rows = 1}, 1, 4, scratch);
  return out[0];
}

TEST(AttendTest, WhatIsNotFiniteIsNotLost) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(attended_to_one_key(2, 3), 3);
  for (const float bad : {kInfinity, -kInfinity, kNan, -3e38F})
    EXPECT_TRUE(std::isnan(attended_to_one_key(bad, 3))) << bad;
  EXPECT_FALSE(std::isfinite(attended_to_one_key(2, -kInfinity)));
}

TEST(AttendTest, LargeScoresDoNotOverflow) {
  const int64_t head_dim = 4;
  const std::vector<float> query(head_dim, 300.0F), keys = {1, 1, 1, 1, 2, 2, 2, 2}, values = {5, 5, 5, 5, 7, 7, 7, 7};
  std::vector<float> out(head_dim);
  AttentionScratch scratch;
  attend<float>({.queries = query.data(),
                 .query_stride = head_dim,
                 .out = out.data(),
                 .out_stride = head_dim,
                 .num_rows = 1,
                 .num_heads = 1},
                {}, {.keys = keys.data(), .values = values.data(), .row_stride = head_dim, .num_rows = 2}, 2, head_dim,
                scratch);
  for (const float x : out) EXPECT_FLOAT_EQ(x, 7.0F);
}

}  // namespace
}  // namespace prm_score
