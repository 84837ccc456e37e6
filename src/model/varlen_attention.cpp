#include "prm_score/model/varlen_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "device_tensors.h"
#include <ATen/TensorOperators.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

namespace prm_score {
namespace {

// [num_rows, num_key_value_heads, head_dim] -> float32 [num_key_value_heads, num_rows, head_dim]. A copy in any case:
// where rows lie among others, how they are aligned that is, may choose another kernel.
at::Tensor by_head(const at::Tensor& rows) {
  return rows.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous().transpose(0, 1);
}

}  // namespace

VarlenPlan make_varlen_plan(std::vector<KeySpan> spans, bool is_causal, at::Device device) {
  VarlenPlan plan;
  plan.is_causal = is_causal;
  std::vector<int32_t> query_begins = {0}, first_keys, num_keys;
  for (const KeySpan& span : spans) {
    query_begins.push_back(static_cast<int32_t>(span.end));
    first_keys.push_back(static_cast<int32_t>(span.first_key));
    num_keys.push_back(static_cast<int32_t>(span.num_keys));
    plan.max_num_queries = std::max(plan.max_num_queries, span.end - span.begin);
    plan.max_num_keys = std::max(plan.max_num_keys, span.num_keys);
  }
  first_keys.push_back(first_keys.empty() ? 0 : first_keys.back());
  plan.query_begins = on_device(query_begins, device);
  plan.first_keys = on_device(first_keys, device);
  plan.num_keys = on_device(num_keys, device);
  plan.spans = std::move(spans);
  return plan;
}

bool FlashAttention::suits(at::Device device, at::ScalarType dtype, int64_t head_dim) {
  return device.is_cuda() && dtype == at::kBFloat16 && head_dim % 8 == 0 && head_dim <= 256;
}

Attended FlashAttention::attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                const VarlenPlan& plan) const {
  // With the number of keys given apart, the begins of the keys need not follow each other: spans may share keys. A
  // call of single queries would take another kernel, so it never says that it is one.
  const int64_t max_num_queries = std::max<int64_t>(2, plan.max_num_queries);
  auto [rows, log_sum_exp, rng_state, unused, debug_mask] = at::_flash_attention_forward(
      query, key, value, plan.query_begins, plan.first_keys, max_num_queries, plan.max_num_keys, /*dropout_p=*/0.0,
      plan.is_causal, /*return_debug_mask=*/false, /*scale=*/std::nullopt, /*window_size_left=*/std::nullopt,
      /*window_size_right=*/std::nullopt, plan.num_keys);
  TORCH_CHECK(log_sum_exp.dim() == 2 && log_sum_exp.size(0) == query.size(1) && log_sum_exp.size(1) == query.size(0),
              "flash attention: log_sum_exp: expected [", query.size(1), ", ", query.size(0), "], got ",
              log_sum_exp.sizes());
  return {.rows = std::move(rows), .log_sum_exp = std::move(log_sum_exp)};
}

Attended SpanwiseAttention::attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                   const VarlenPlan& plan) const {
  const int64_t num_heads = query.size(1), num_key_heads = key.size(1), head_dim = query.size(2);
  const double scale = 1.0 / std::sqrt(static_cast<double>(head_dim));
  const at::TensorOptions floats = query.options().dtype(at::kFloat);
  // Every span has its own keys: a kernel that sees only them cannot make their result depend on the others.
  Attended attended = {
      .rows = at::zeros({query.size(0), num_heads, head_dim}, query.options()),
      .log_sum_exp = at::full({num_heads, query.size(0)}, -std::numeric_limits<double>::infinity(), floats)};
  for (const KeySpan& span : plan.spans) {
    if (span.num_keys == 0) continue;
    const int64_t num_queries = span.end - span.begin;
    // [num_key_heads, heads per key * num_queries, head_dim]
    const at::Tensor queries = by_head(query.narrow(0, span.begin, num_queries)).reshape({num_key_heads, -1, head_dim});
    const at::Tensor keys = by_head(key.narrow(0, span.first_key, span.num_keys));
    at::Tensor scores = at::matmul(queries, keys.transpose(1, 2)).mul_(scale);
    scores = scores.view({num_heads, num_queries, span.num_keys});
    if (plan.is_causal) {
      const at::Tensor unseen =
          at::ones({num_queries, span.num_keys}, floats.dtype(at::kBool)).triu(span.num_keys - num_queries + 1);
      scores.masked_fill_(unseen, -std::numeric_limits<double>::infinity());
    }
    const at::Tensor log_sum_exp = at::logsumexp(scores, -1, /*keepdim=*/true);
    const at::Tensor weights = (scores - log_sum_exp).exp_().view({num_key_heads, -1, span.num_keys});
    const at::Tensor sums = at::matmul(weights, by_head(value.narrow(0, span.first_key, span.num_keys)));
    attended.rows.narrow(0, span.begin, num_queries)
        .copy_(sums.view({num_heads, num_queries, head_dim}).transpose(0, 1));
    attended.log_sum_exp.narrow(1, span.begin, num_queries).copy_(log_sum_exp.squeeze(-1));
  }
  return attended;
}

std::unique_ptr<const VarlenAttention> make_varlen_attention(at::Device device, at::ScalarType dtype,
                                                             int64_t head_dim) {
  if (FlashAttention::suits(device, dtype, head_dim)) return std::make_unique<FlashAttention>();
  return std::make_unique<SpanwiseAttention>();
}

}  // namespace prm_score
