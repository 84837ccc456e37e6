#include "prm_score/model/fused_layers.h"

namespace prm_score {

int64_t FusedLayer::num_outputs() const {
  int64_t sum = 0;
  for (const LinearPart& part : parts) sum += part.num_outputs;
  return sum;
}

std::vector<FusedLayer> fused_layers(const ModelConfig& config) {
  const auto& c = config;
  return {
      {.name = "self_attn.qkv_proj",
       .linear = &LayerWeights::qkv_proj,
       .is_rounded = &RoundedLayers::qkv_proj,
       .has_bias = c.qkv_bias,
       .num_inputs = c.hidden_size,
       .parts = {{"self_attn.q_proj", c.query_size()},
                 {"self_attn.k_proj", c.key_value_size()},
                 {"self_attn.v_proj", c.key_value_size()}}},
      {.name = "self_attn.o_proj",
       .linear = &LayerWeights::o_proj,
       .is_rounded = &RoundedLayers::others,
       .has_bias = c.o_proj_bias,
       .num_inputs = c.query_size(),
       .parts = {{"self_attn.o_proj", c.hidden_size}}},
      {.name = "mlp.gate_up_proj",
       .linear = &LayerWeights::gate_up_proj,
       .is_rounded = &RoundedLayers::others,
       .has_bias = c.mlp_bias,
       .num_inputs = c.hidden_size,
       .parts = {{"mlp.gate_proj", c.intermediate_size}, {"mlp.up_proj", c.intermediate_size}}},
      {.name = "mlp.down_proj",
       .linear = &LayerWeights::down_proj,
       .is_rounded = &RoundedLayers::others,
       .has_bias = c.mlp_bias,
       .num_inputs = c.intermediate_size,
       .parts = {{"mlp.down_proj", c.hidden_size}}},
  };
}

std::string layer_prefix(int64_t index) { return "model.layers." + std::to_string(index) + "."; }

}  // namespace prm_score
