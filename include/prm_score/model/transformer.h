// transformer.h - the judge: a decoder-only transformer that reads a prompt and says how much A is likelier than B.
//
// This is the oracle: each prompt on its own, as transformers would run it. Faster paths are held against it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prm_score/model/attention.h"
#include "prm_score/model/model_config.h"
#include "prm_score/model/weights.h"

namespace prm_score {

// Immutable after loading. log_odds() and hidden_states() may be called from several threads; each call then competes
// for the same CPU threads of libtorch, so nothing is gained by it.
class Transformer {
 public:
  explicit Transformer(std::shared_ptr<const LoadedModel> model);

  // The same after load_model().
  Transformer(const std::filesystem::path& folder, const WeightOptions& options);

  // logit(A) - logit(B) after the last of `input_ids`, in nats. Final norm, head and difference in float32 whatever the
  // compute dtype. A result that is not finite is returned as it is. Throws Error if there is no id or there are more
  // than max_positions(), if an id is not in the vocabulary, and if memory runs out.
  [[nodiscard]] float log_odds(std::span<const int32_t> input_ids) const;

  // The same of several prompts, each on its own, but layer by layer: a layer that is converted for each use is so but
  // once.
  [[nodiscard]] std::vector<float> log_odds_of_all(const std::vector<std::span<const int32_t>>& prompts) const;

  // What goes into each layer and comes out of the last one: [num_hidden_layers + 1] tensors
  // [num_tokens, hidden_size], the first being the embeddings; before the final norm. For tests and for locating a
  // difference. Throws as log_odds.
  [[nodiscard]] std::vector<at::Tensor> hidden_states(std::span<const int32_t> input_ids) const;

  [[nodiscard]] const ModelConfig& config() const { return model_->config; }
  [[nodiscard]] at::ScalarType dtype() const { return model_->options.precision.dtype; }
  [[nodiscard]] at::Device device() const { return model_->options.device; }

 private:
  [[nodiscard]] at::Tensor embed(std::span<const int32_t> input_ids) const;
  [[nodiscard]] RowContext sequence_context(int64_t num_tokens) const;
  [[nodiscard]] at::Tensor decoder_layer(at::Tensor hidden, const at::Tensor& output_rows, int64_t layer_index,
                                         const LayerWeights& layer, const RowContext& context) const;
  [[nodiscard]] float head(const at::Tensor& hidden) const;

  std::shared_ptr<const LoadedModel> model_;
  at::Tensor inverse_frequencies_;  // [head_dim / 2]
  CausalAttention causal_attention_;
};

}  // namespace prm_score
