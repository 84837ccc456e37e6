// weights.h - the tensors of a checkpoint, ready to compute with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prm_score/model/model_config.h"
#include "prm_score/model/precision.h"
#include "prm_score/model/tensor_source.h"

namespace prm_score {

// A weight in a quantised checkpoint is the tensor `{layer's name}.int8`, its scales `{layer's name}.int8_scales`.
// Fused layers are one: `model.layers.1.self_attn.qkv_proj.int8`.
inline constexpr const char* kInt8Suffix = ".int8";
inline constexpr const char* kInt8ScalesSuffix = ".int8_scales";

// What they hold, on the CPU: see Int8Weight.
struct Int8Tensors {
  at::Tensor packed;       // uint8 [int8_packed_bytes]
  at::Tensor scales;       // float32 [num_outputs]
  int64_t num_inputs = 0;  // of an output
};

// y = x W^T + b
struct Linear {
  at::Tensor weight;                                // [num_outputs, num_inputs]; undefined if there is `int8`
  at::Tensor bias;                                  // [num_outputs]; undefined if the layer has none
  Quantization quantization = Quantization::kNone;  // what x and W are to be rounded to
  at::Tensor scales = {};  // float32 [num_outputs]: `weight` is rounded already, integers in float32, or float8
  std::optional<Int8Tensors> int8 = std::nullopt;  // W, rounded already, in place of `weight`

  // rows [num_rows, num_inputs] -> [num_rows, num_outputs]
  [[nodiscard]] at::Tensor apply(const at::Tensor& rows) const;

  // The layer that gives only the outputs [begin, begin + length). Shares the memory, but for `int8`.
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

struct WeightOptions {
  at::Device device = at::kCPU;
  Precision precision = {};
  int64_t label_a_id = 0;  // ids of the two labels, different ones
  int64_t label_b_id = 0;
  // Memory that converted layers may take, bytes. Not given: on the CPU what is there, on a GPU whatever they need.
  std::optional<int64_t> layer_memory = std::nullopt;
  bool keep_layers = true;  // false: for an engine that keeps them in a form of its own
};

class WeightLoader;

// Immutable, thread-safe.
struct ModelWeights {
  at::Tensor embed_tokens;      // [vocab_size, hidden_size], in the checkpoint's dtype
  at::Tensor norm;              // [hidden_size], float32
  at::Tensor label_difference;  // [hidden_size], float32: rows A - B of lm_head

  std::vector<LayerWeights> resident_layers;   // [num_hidden_layers], or empty
  std::shared_ptr<const WeightLoader> loader;  // holds what the tensors were read from: some lie in its mapped files

  // Layer `index`: as it lies in memory; or, if all layers have no room there, converted now, for as long as it is
  // held.
  [[nodiscard]] LayerWeights layer(int64_t index) const;

  // Throws Error if a file that they were read from, and may still lie in, was written to since.
  void expect_unchanged() const;
};

// A judge in memory.
struct LoadedModel {
  ModelConfig config;
  WeightOptions options;
  ModelWeights weights;
};

// Loads the weights of `config`'s architecture by their Hugging Face names. Of lm_head only the two label rows are ever
// read. Tied embeddings serve as head unless there is an lm_head all the same; that one wins, as in the reference. What
// has the compute dtype already stays in the mapped file (CPU), the rest is converted: once if `keep_layers` and memory
// allows, else layer by layer when it is needed. Throws Error naming file, tensor, expected and found if one is
// missing, misshapen or of another dtype than F32, F16 and BF16, or if a label id is not in the vocabulary.
[[nodiscard]] ModelWeights load_weights(std::shared_ptr<const TensorSource> source, const ModelConfig& config,
                                        const WeightOptions& options);

// Loads `config.json` and the safetensors of a checkpoint folder. Throws Error as load_model_config, SafetensorsReader
// and load_weights do, and if memory runs out.
[[nodiscard]] std::shared_ptr<const LoadedModel> load_model(const std::filesystem::path& folder,
                                                            const WeightOptions& options);

// Whether memory holds all layers, on the CPU: `layer_memory`, or most of what is there. Those that are quantised take
// their integers, the others numbers of `dtype`.
[[nodiscard]] bool packed_layers_fit(const LoadedModel& model, at::ScalarType dtype);

// The same model in float32, not quantised, converted layer by layer: slow, in little memory. Shares what `model` was
// read from.
[[nodiscard]] std::shared_ptr<const LoadedModel> in_float32(const LoadedModel& model);

// A model of the shape that `config_file` says, with weights drawn from a fixed seed (RandomSource).
[[nodiscard]] std::shared_ptr<const LoadedModel> random_model(const std::filesystem::path& config_file,
                                                              const WeightOptions& options);

}  // namespace prm_score
