// varlen_attention.h - attention of many short stretches of queries, each to its own stretch of keys, in one call.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prm_score/model/step_layout.h"

namespace prm_score {

// The same for every layer of a step: made once.
struct VarlenPlan {
  std::vector<KeySpan> spans;  // one behind the other from query 0 on, without gaps
  bool is_causal = false;      // the last query of a span sees all its keys, the one before it one less, ..
  int64_t max_num_queries = 0, max_num_keys = 0;
  at::Tensor query_begins;  // int32 [num spans + 1], on the device
  at::Tensor first_keys;    // int32 [num spans + 1], on the device; the last one is not used
  at::Tensor num_keys;      // int32 [num spans], on the device
};

[[nodiscard]] VarlenPlan make_varlen_plan(std::vector<KeySpan> spans, bool is_causal, at::Device device);

struct Attended {
  at::Tensor rows;         // [num_queries, num_attention_heads, head_dim], of the queries' dtype
  at::Tensor log_sum_exp;  // float32 [num_attention_heads, num_queries], of the scaled scores
};

// Softmax over scores / sqrt(head_dim). What a span's queries get depends on the span's own queries and keys alone, bit
// by bit. Queries without keys get zeros, and a log_sum_exp that says nothing. Immutable, thread-safe.
class VarlenAttention {
 public:
  virtual ~VarlenAttention() = default;

  // query [num_queries, num_attention_heads, head_dim], key and value [num_keys, num_key_value_heads, head_dim]; each
  // head of each row is contiguous.
  [[nodiscard]] virtual Attended attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                        const VarlenPlan& plan) const = 0;
};

// libtorch's flash attention: CUDA, bfloat16, compute capability 8.0 or newer, some sizes of heads.
class FlashAttention final : public VarlenAttention {
 public:
  [[nodiscard]] static bool suits(at::Device device, at::ScalarType dtype, int64_t head_dim);

  [[nodiscard]] Attended attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                const VarlenPlan& plan) const override;
};

// Products of matrices, in float32, span by span: any device and dtype, in no hurry.
class SpanwiseAttention final : public VarlenAttention {
 public:
  [[nodiscard]] Attended attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                const VarlenPlan& plan) const override;
};

// Flash attention where it suits.
[[nodiscard]] std::unique_ptr<const VarlenAttention> make_varlen_attention(at::Device device, at::ScalarType dtype,
                                                                           int64_t head_dim);

}  // namespace prm_score
