// weights.h - the tensors of a checkpoint, ready to compute with.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prm_score/model/model_config.h"
#include "prm_score/model/safetensors.h"

namespace prm_score {

// y = x W^T + b
struct Linear {
  at::Tensor weight;  // [num_outputs, num_inputs]
  at::Tensor bias;    // [num_outputs]; undefined if the layer has none

  // rows [num_rows, num_inputs] -> [num_rows, num_outputs]
  [[nodiscard]] at::Tensor apply(const at::Tensor& rows) const;

  // The layer that gives only the outputs [begin, begin + length). Shares the memory.
  [[nodiscard]] Linear outputs(int64_t begin, int64_t length) const;
};

// One decoder layer, in the compute dtype. The fused layers hold their parts one below the other.
struct LayerWeights {
  at::Tensor input_layernorm;           // [hidden_size]
  Linear qkv_proj;                      // hidden_size -> query_size + 2 key_value_size
  at::Tensor q_norm, k_norm;            // [head_dim]; undefined unless qk_norm
  Linear o_proj;                        // query_size -> hidden_size
  at::Tensor post_attention_layernorm;  // [hidden_size]
  Linear gate_up_proj;                  // hidden_size -> 2 intermediate_size
  Linear down_proj;                     // intermediate_size -> hidden_size
};

struct ModelWeights {
  std::shared_ptr<const SafetensorsReader> files;  // tensors that need no conversion lie in the mapped files
  at::Tensor embed_tokens;                         // [vocab_size, hidden_size], in the checkpoint's dtype
  std::vector<LayerWeights> layers;                // [num_hidden_layers]
  at::Tensor norm;                                 // [hidden_size], float32
  at::Tensor label_difference;                     // [hidden_size], float32: rows A - B of lm_head
};

struct WeightOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  // float32 or bfloat16
  int64_t label_a_id = 0;             // ids of the two labels, different ones
  int64_t label_b_id = 0;
};

// Loads the weights of `config`'s architecture by their Hugging Face names. Of lm_head only the two label rows are ever
// read. Tied embeddings serve as head unless there is an lm_head all the same; that one wins, as in the reference. What
// has the compute dtype already stays in the mapped file (CPU), the rest is converted once.
// Throws Error naming file, tensor, expected and found if one is missing, misshapen or of another dtype than F32, F16
// and BF16, or if a label id is not in the vocabulary.
[[nodiscard]] ModelWeights load_weights(std::shared_ptr<const SafetensorsReader> files, const ModelConfig& config,
                                        const WeightOptions& options);

// The tensor in its own dtype on the CPU: a view of the mapped file, or a copy if it does not lie at a multiple of its
// element size. Must not outlive the reader. Not to be written to.
[[nodiscard]] at::Tensor to_tensor(const StoredTensor& stored);

}  // namespace prm_score
