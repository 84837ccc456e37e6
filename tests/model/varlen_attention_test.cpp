#include "prm_score/model/varlen_attention.h"

#include <cmath>

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

constexpr int64_t kHeads = 6, kKeyHeads = 2, kHeadDim = 8;

// One query of one head by hand, in double.
struct Expected {
  std::vector<double> row;
  double log_sum_exp = 0;
};

Expected by_hand(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const KeySpan& span,
                 int64_t query_row, int64_t head, bool is_causal) {
  const int64_t key_head = head / (kHeads / kKeyHeads);
  const int64_t unseen = is_causal ? span.end - 1 - query_row : 0;
  std::vector<double> scores;
  double largest = -1e300;
  for (int64_t k = span.first_key; k < span.first_key + span.num_keys - unseen; ++k) {
    double score = 0;
    for (int64_t d = 0; d < kHeadDim; ++d) {
      score += query[query_row][head][d].item<double>() * key[k][key_head][d].item<double>();
    }
    scores.push_back(score / std::sqrt(static_cast<double>(kHeadDim)));
    largest = std::max(largest, scores.back());
  }
  double sum = 0;
  for (double& score : scores) sum += std::exp(score - largest);
  Expected expected = {.row = std::vector<double>(kHeadDim), .log_sum_exp = largest + std::log(sum)};
  for (size_t k = 0; k < scores.size(); ++k) {
    const double weight = std::exp(scores[k] - expected.log_sum_exp);
    for (int64_t d = 0; d < kHeadDim; ++d) {
      expected.row[d] += weight * value[span.first_key + static_cast<int64_t>(k)][key_head][d].item<double>();
    }
  }
  return expected;
}

// Spans that share keys, leave keys out, and do not come in the order of their keys.
const std::vector<KeySpan> kSpans = {{0, 3, 4, 9}, {3, 4, 4, 2}, {4, 9, 0, 20}, {9, 11, 4, 9}};

class VarlenAttentionTest : public ::testing::TestWithParam<bool> {};

TEST_P(VarlenAttentionTest, EveryQuerySeesItsOwnKeys) {
  at::manual_seed(3);
  const at::Tensor query = at::randn({11, kHeads, kHeadDim}), key = at::randn({20, kKeyHeads, kHeadDim}),
                   value = at::randn({20, kKeyHeads, kHeadDim});
  const bool is_causal = GetParam();
  const VarlenPlan plan = make_varlen_plan(kSpans, is_causal, at::kCPU);
  const Attended attended = SpanwiseAttention().attend(query, key, value, plan);
  for (const KeySpan& span : kSpans) {
    for (int64_t row = span.begin; row < span.end; ++row) {
      for (int64_t head = 0; head < kHeads; ++head) {
        const Expected expected = by_hand(query, key, value, span, row, head, is_causal);
        EXPECT_NEAR(attended.log_sum_exp[head][row].item<double>(), expected.log_sum_exp, 1e-5);
        for (int64_t d = 0; d < kHeadDim; ++d) {
          EXPECT_NEAR(attended.rows[row][head][d].item<double>(), expected.row[d], 1e-5) << row << " " << head;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Causal, VarlenAttentionTest, ::testing::Bool());

TEST(VarlenPlanTest, IsWhatFlashAttentionAsksFor) {
  const VarlenPlan plan = make_varlen_plan(kSpans, true, at::kCPU);
  EXPECT_EQ(plan.max_num_queries, 5);
  EXPECT_EQ(plan.max_num_keys, 20);
  const auto numbers = [](const at::Tensor& tensor) {
    EXPECT_EQ(tensor.scalar_type(), at::kInt);
    return std::vector<int32_t>(tensor.const_data_ptr<int32_t>(), tensor.const_data_ptr<int32_t>() + tensor.numel());
  };
  EXPECT_EQ(numbers(plan.query_begins), (std::vector<int32_t>{0, 3, 4, 9, 11}));
  EXPECT_EQ(numbers(plan.first_keys), (std::vector<int32_t>{4, 4, 0, 4, 4}));
  EXPECT_EQ(numbers(plan.num_keys), (std::vector<int32_t>{9, 2, 20, 9}));
}

// Where its rows lie among others may change how they are aligned, and with it the kernel that a library chooses.
TEST(SpanwiseAttentionTest, ASpanHasTheSameBitsWhereverItLies) {
  at::manual_seed(5);
  for (const int64_t head_dim : {2, 6, 8, 10, 16}) {
    constexpr int64_t kAllHeads = 3;
    for (const int64_t num_queries : {1, 2, 5}) {
      const at::Tensor own = at::randn({20, 3 * kAllHeads * head_dim});
      at::Tensor first_rows, first_log;
      for (int64_t offset = 0; offset < 16; ++offset) {
        const at::Tensor all = at::randn({40, 3 * kAllHeads * head_dim});
        all.narrow(0, offset, 20).copy_(own);
        const auto part = [&](int64_t number) {
          return all.narrow(1, number * kAllHeads * head_dim, kAllHeads * head_dim).unflatten(1, {kAllHeads, head_dim});
        };
        std::vector<KeySpan> spans;
        if (offset > 0) spans.push_back({0, offset, 0, 3});
        spans.push_back({offset, offset + num_queries, offset, 20});
        const Attended attended =
            SpanwiseAttention().attend(part(0).narrow(0, 0, offset + num_queries), part(1), part(2),
                                       make_varlen_plan(spans, /*is_causal=*/false, at::kCPU));
        const at::Tensor rows = attended.rows.narrow(0, offset, num_queries);
        const at::Tensor log = attended.log_sum_exp.narrow(1, offset, num_queries);
        if (offset == 0) {
          first_rows = rows;
          first_log = log;
        }
        EXPECT_TRUE(at::equal(rows, first_rows) && at::equal(log, first_log)) << head_dim << " " << offset;
      }
    }
  }
}

}  // namespace
}  // namespace prm_score
