#include "prm_score/model/transformer.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include "prm_score/error.h"
#include "prm_score/model/memory.h"
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

float Transformer::log_odds(std::span<const int32_t> input_ids) const { return log_odds_of_all({input_ids})[0]; }

std::vector<float> Transformer::log_odds_of_all(const std::vector<std::span<const int32_t>>& prompts) const {
  for (const auto input_ids : prompts) expect_valid_ids(input_ids, config());
  return with_torch_errors("forward pass", [&] {
    expect_memory_for_libraries(at::get_num_threads());
    const c10::InferenceMode no_autograd;
    std::vector<at::Tensor> hidden;
    std::vector<RowContext> contexts;
    for (const auto input_ids : prompts) {
      hidden.push_back(embed(input_ids));
      contexts.push_back(sequence_context(static_cast<int64_t>(input_ids.size())));
    }
    for (int64_t i = 0; i < config().num_hidden_layers; ++i) {
      const bool is_last_layer = i + 1 == config().num_hidden_layers;
      const LayerWeights layer = model_->weights.layer(i);
      for (size_t prompt = 0; prompt < prompts.size(); ++prompt) {
        at::Tensor output_rows;  // all
        if (is_last_layer) {
          const auto end = static_cast<int64_t>(prompts[prompt].size());
          output_rows = at::arange(end - 1, end, at::TensorOptions(device()).dtype(at::kLong));
        }
        hidden[prompt] = decoder_layer(std::move(hidden[prompt]), output_rows, i, layer, contexts[prompt]);
      }
    }
    std::vector<float> log_odds;
    for (const at::Tensor& last : hidden) log_odds.push_back(head(last));
    return log_odds;
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
      states.push_back(decoder_layer(states.back(), all_rows, i, model_->weights.layer(i), context));
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
                                      const LayerWeights& layer, const RowContext& context) const {
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
