#include "prm_score/model/transformer.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include "prm_score/error.h"
#include "prm_score/model/mlp.h"
#include "prm_score/model/rms_norm.h"
#include "prm_score/model/rotary.h"
#include "prm_score/model/torch_error.h"

namespace prm_score {
namespace {

void expect_valid_ids(std::span<const int32_t> input_ids, const ModelConfig& config) {
  const auto num_tokens = static_cast<int64_t>(input_ids.size());
  if (num_tokens < 1 || num_tokens > config.max_positions()) {
    throw Error("input_ids: expected 1 to " + std::to_string(config.max_positions()) + " tokens, got " +
                std::to_string(num_tokens));
  }
  for (const int32_t id : input_ids) {
    if (id < 0 || id >= config.vocab_size) {
      throw Error("input_ids: expected ids from 0 to " + std::to_string(config.vocab_size - 1) + " (vocab_size), got " +
                  std::to_string(id));
    }
  }
}

}  // namespace

Transformer::Transformer(std::shared_ptr<const LoadedModel> model) : model_(std::move(model)) {
  const c10::InferenceMode no_autograd;
  inverse_frequencies_ = inverse_frequencies(config().rope_parameters, config().head_dim);
}

Transformer::Transformer(const std::filesystem::path& folder, const WeightOptions& options)
    : Transformer(load_model(folder, options)) {}

float Transformer::log_odds(std::span<const int32_t> input_ids) const {
  expect_valid_ids(input_ids, config());
  return with_torch_errors("forward pass", [&] {
    const c10::InferenceMode no_autograd;
    const auto num_tokens = static_cast<int64_t>(input_ids.size());
    const at::Tensor all_rows;
    const at::Tensor last_row = at::arange(num_tokens - 1, num_tokens, at::TensorOptions(device()).dtype(at::kLong));
    const RowContext context = sequence_context(num_tokens);
    at::Tensor hidden = embed(input_ids);
    for (int64_t i = 0; i < config().num_hidden_layers; ++i) {
      const bool is_last_layer = i + 1 == config().num_hidden_layers;
      hidden = decoder_layer(hidden, is_last_layer ? last_row : all_rows, i, context);
    }
    return head(hidden);
  });
}

std::vector<at::Tensor> Transformer::hidden_states(std::span<const int32_t> input_ids) const {
  expect_valid_ids(input_ids, config());
  return with_torch_errors("forward pass", [&] {
    const c10::InferenceMode no_autograd;
    const at::Tensor all_rows;
    const RowContext context = sequence_context(static_cast<int64_t>(input_ids.size()));
    std::vector<at::Tensor> states = {embed(input_ids)};
    for (int64_t i = 0; i < config().num_hidden_layers; ++i) {
      states.push_back(decoder_layer(states.back(), all_rows, i, context));
    }
    return states;
  });
}

// [num_tokens, hidden_size]
at::Tensor Transformer::embed(std::span<const int32_t> input_ids) const {
  const at::Tensor ids = at::empty(static_cast<int64_t>(input_ids.size()), at::kInt);
  std::copy(input_ids.begin(), input_ids.end(), ids.mutable_data_ptr<int32_t>());
  return model_->weights.embed_tokens.index_select(0, ids.to(device())).to(dtype());
}

RowContext Transformer::sequence_context(int64_t num_tokens) const {
  const at::TensorOptions like = at::TensorOptions(device()).dtype(dtype());
  return {.rotary = make_rotary_table(inverse_frequencies_, at::arange(num_tokens, at::kLong), like),
          .pattern = &causal_attention_,
          .config = &config()};
}

// [num_rows, hidden_size] -> [num_outputs, hidden_size]
at::Tensor Transformer::decoder_layer(at::Tensor hidden, const at::Tensor& output_rows, int64_t layer_index,
                                      const RowContext& context) const {
  const LayerWeights layer = model_->weights.layer(layer_index);
  const at::Tensor attention_input = rms_norm(hidden, layer.input_layernorm, config().rms_norm_eps);
  const at::Tensor attended = self_attention(attention_input, output_rows, layer_index, layer, context);
  hidden = (output_rows.defined() ? hidden.index_select(0, output_rows) : hidden) + attended;
  return hidden + mlp(rms_norm(hidden, layer.post_attention_layernorm, config().rms_norm_eps), layer);
}

// hidden [1, hidden_size] -> (w_A - w_B) . norm(hidden)
float Transformer::head(const at::Tensor& hidden) const {
  const at::Tensor normed = rms_norm(hidden.select(0, 0).to(at::kFloat), model_->weights.norm, config().rms_norm_eps);
  return at::dot(normed, model_->weights.label_difference).item().toFloat();
}

}  // namespace prm_score
