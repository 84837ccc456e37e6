// attention.h - self-attention of one layer, and behind it who sees whom.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "prm_score/model/model_config.h"
#include "prm_score/model/rotary.h"
#include "prm_score/model/weights.h"

namespace prm_score {

// Which keys each query of a forward pass sees. Grouped queries: query head h belongs to key-value head
// h / (num_attention_heads / num_key_value_heads).
class AttentionPattern {
 public:
  virtual ~AttentionPattern() = default;

  // query [num_queries, num_attention_heads, head_dim], key and value [num_rows, num_key_value_heads, head_dim], of
  // layer `layer_index` -> [num_queries, num_attention_heads, head_dim]. Softmax over scores / sqrt(head_dim).
  [[nodiscard]] virtual at::Tensor attend(int64_t layer_index, const at::Tensor& query, const at::Tensor& key,
                                          const at::Tensor& value) const = 0;
};

// The rows are one sequence from its start. The queries are those of all rows, each sees itself and the rows before;
// or that of the last row alone, which sees them all.
class CausalAttention final : public AttentionPattern {
 public:
  [[nodiscard]] at::Tensor attend(int64_t layer_index, const at::Tensor& query, const at::Tensor& key,
                                  const at::Tensor& value) const override;
};

// What the rows of one forward pass are, the same for all its layers.
struct RowContext {
  RotaryTable rotary;               // [num_rows]
  const AttentionPattern* pattern;  // not owned
  const ModelConfig* config;        // not owned
};

// hidden [num_rows, hidden_size], after the input norm -> [num_outputs, hidden_size], before the residual.
// `output_rows` [num_outputs]: the rows to compute queries for; undefined = all.
[[nodiscard]] at::Tensor self_attention(const at::Tensor& hidden, const at::Tensor& output_rows, int64_t layer_index,
                                        const LayerWeights& layer, const RowContext& context);

}  // namespace prm_score
