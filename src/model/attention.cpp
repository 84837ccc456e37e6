#include "prm_score/model/attention.h"

#include <ATen/ops/scaled_dot_product_attention.h>

#include "prm_score/model/rms_norm.h"

namespace prm_score {
namespace {

// [num_rows, num_heads * head_dim] -> [num_rows, num_heads, head_dim], normalised where the family does, and rotated.
at::Tensor make_heads(const at::Tensor& projected, const at::Tensor& norm_weight, const RotaryTable& rotary,
                      const ModelConfig& config) {
  at::Tensor heads = projected.unflatten(-1, {-1, config.head_dim});
  if (config.qk_norm) heads = rms_norm(heads, norm_weight, config.rms_norm_eps);
  return apply_rotary(heads, rotary);
}

struct QueryKeyValue {
  at::Tensor query, key, value;  // [num_rows or num_outputs, num_heads * head_dim]
};

QueryKeyValue project(const at::Tensor& hidden, const at::Tensor& output_rows, const LayerWeights& layer,
                      const ModelConfig& config) {
  const int64_t query_size = config.query_size();
  const int64_t key_value_size = config.key_value_size();
  if (output_rows.defined()) {
    const at::Tensor key_value = layer.qkv_proj.outputs(query_size, 2 * key_value_size).apply(hidden);
    return {.query = layer.qkv_proj.outputs(0, query_size).apply(hidden.index_select(0, output_rows)),
            .key = key_value.narrow(1, 0, key_value_size),
            .value = key_value.narrow(1, key_value_size, key_value_size)};
  }
  const at::Tensor all = layer.qkv_proj.apply(hidden);  // [num_rows, query_size + 2 key_value_size]
  return {.query = all.narrow(1, 0, query_size),
          .key = all.narrow(1, query_size, key_value_size),
          .value = all.narrow(1, query_size + key_value_size, key_value_size)};
}

}  // namespace

at::Tensor CausalAttention::attend(int64_t /*layer_index*/, const at::Tensor& query, const at::Tensor& key,
                                   const at::Tensor& value) const {
  const bool all_rows = query.size(0) == key.size(0);
  TORCH_CHECK(all_rows || query.size(0) == 1, "attend: queries ", query.sizes(), ", keys ", key.sizes());
  const auto by_head = [](const at::Tensor& rows) { return rows.transpose(0, 1).unsqueeze(0); };
  // No mask tensor and no repeated keys: the CPU takes its flash kernel, CUDA one where it has one for the dtype.
  const at::Tensor attended = at::scaled_dot_product_attention(by_head(query), by_head(key), by_head(value),
                                                               /*attn_mask=*/{}, /*dropout_p=*/0.0,
                                                               /*is_causal=*/all_rows, /*scale=*/std::nullopt,
                                                               /*enable_gqa=*/query.size(1) != key.size(1));
  return attended.squeeze(0).transpose(0, 1);
}

at::Tensor self_attention(const at::Tensor& hidden, const at::Tensor& output_rows, int64_t layer_index,
                          const LayerWeights& layer, const RowContext& context) {
  const ModelConfig& config = *context.config;
  const auto [query, key, value] = project(hidden, output_rows, layer, config);
  const RotaryTable query_rotary = output_rows.defined() ? context.rotary.select(output_rows) : context.rotary;
  const at::Tensor attended = context.pattern->attend(
      layer_index, make_heads(query, layer.q_norm, query_rotary, config),
      make_heads(key, layer.k_norm, context.rotary, config), value.unflatten(-1, {-1, config.head_dim}));
  return layer.o_proj.apply(attended.flatten(1));
}

}  // namespace prm_score
