// tiny_checkpoint.h - a checkpoint small enough to work out by hand.
//
// Llama, one layer, 2 query heads on 1 key-value head. All projections are zero, so the hidden state stays the
// embedding of the last token, and log-odds = (w_A - w_B) . rms_norm(embedding).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint_builder.h"
#include <nlohmann/json.hpp>

namespace prm_score {

class TinyCheckpoint {
 public:
  static constexpr int64_t kVocabSize = 3, kHiddenSize = 4, kIntermediateSize = 3, kQuerySize = 4, kKeyValueSize = 2;

  nlohmann::json config = {{"model_type", "llama"},      {"vocab_size", kVocabSize},
                           {"hidden_size", kHiddenSize}, {"intermediate_size", kIntermediateSize},
                           {"num_hidden_layers", 1},     {"num_attention_heads", 2},
                           {"num_key_value_heads", 1},   {"max_position_embeddings", 8},
                           {"hidden_act", "silu"},       {"rms_norm_eps", 1e-12}};
  std::vector<TensorToWrite> tensors = {
      // The norm of (2, 0, 0, 0) is (2, 0, 0, 0), that of (1, 1, -1, -1) is itself.
      {"model.embed_tokens.weight", "F32", {3, 4}, float32_bytes({2, 0, 0, 0, 1, 1, -1, -1, 0, 0, 0, 2})},
      {"lm_head.weight", "F32", {3, 4}, float32_bytes({0.5, 3, 0, 0, 7, 7, 7, 7, 0.25, 1, 0, 0})},
      {"model.norm.weight", "F32", {4}, float32_bytes({1, 1, 1, 10})},
      {"model.layers.0.input_layernorm.weight", "F32", {4}, float32_bytes({1, 1, 1, 1})},
      {"model.layers.0.post_attention_layernorm.weight", "F32", {4}, float32_bytes({1, 1, 1, 1})},
      zeros("self_attn.q_proj", {4, 4}),
      zeros("self_attn.k_proj", {2, 4}),
      zeros("self_attn.v_proj", {2, 4}),
      zeros("self_attn.o_proj", {4, 4}),
      zeros("mlp.gate_proj", {3, 4}),
      zeros("mlp.up_proj", {3, 4}),
      zeros("mlp.down_proj", {4, 3})};

  // The tensor to change before writing.
  TensorToWrite& tensor(const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const TensorToWrite& t) { return t.name == name; });
  }

  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const TensorToWrite& t) { return t.name == name; });
  }

  void write(const TempFolder& folder) const {
    folder.write("config.json", config.dump());
    folder.write("model.safetensors", safetensors_file(tensors));
  }

 private:
  static TensorToWrite zeros(const std::string& layer, std::vector<int64_t> shape) {
    const auto num_bytes = static_cast<size_t>(shape[0] * shape[1] * 4);
    return {"model.layers.0." + layer + ".weight", "F32", std::move(shape), std::string(num_bytes, '\0')};
  }
};

}  // namespace prm_score
