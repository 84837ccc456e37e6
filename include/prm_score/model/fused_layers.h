// fused_layers.h - the linear layers of a decoder layer as they are computed: those that take the same rows are one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "prm_score/model/model_config.h"
#include "prm_score/model/quantization.h"
#include "prm_score/model/weights.h"

namespace prm_score {

// What a checkpoint has: `{name}.weight` [num_outputs, num_inputs of the whole] and, if the whole has a bias,
// `{name}.bias` [num_outputs].
struct LinearPart {
  std::string name;  // within the decoder layer: "self_attn.q_proj"
  int64_t num_outputs = 0;
};

struct FusedLayer {
  std::string name;  // within the decoder layer, and in a quantised checkpoint: "self_attn.qkv_proj"
  Linear LayerWeights::*linear = nullptr;
  bool RoundedLayers::*is_rounded = nullptr;
  bool has_bias = false;
  int64_t num_inputs = 0;
  std::vector<LinearPart> parts;  // one below the other

  [[nodiscard]] int64_t num_outputs() const;
};

// In the order of the computation.
[[nodiscard]] std::vector<FusedLayer> fused_layers(const ModelConfig& config);

// "model.layers.3."
[[nodiscard]] std::string layer_prefix(int64_t index);

}  // namespace prm_score
