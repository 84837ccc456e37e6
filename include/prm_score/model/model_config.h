// model_config.h - what `config.json` of a checkpoint says about its architecture. Free of torch.
//
// The reference is what transformers does with the same file. Families: qwen2, qwen3, llama, mistral. They differ in
// flags only, so the rest of the model layer sees the flags and never the family.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "prm_score/model/quantization.h"

namespace prm_score {

enum class RopeType {
  kDefault,
  kLlama3,  // Llama 3.1: long wavelengths stretched by `factor`, short ones kept, a ramp in between
};

// Rotary position embedding. The last four are of kLlama3 only.
struct RopeParameters {
  RopeType rope_type = RopeType::kDefault;
  double rope_theta = 10000.0;
  double factor = 1.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  int64_t original_max_position_embeddings = 0;  // tokens
};

// Named as in config.json. Sizes are positive and at most kMaxSize, so that products of three fit into 64 bits.
struct ModelConfig {
  std::string model_type;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  // divides num_attention_heads
  int64_t head_dim = 0;             // even; num_attention_heads * head_dim need not be hidden_size
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 0;
  bool tie_word_embeddings = false;
  RopeParameters rope_parameters;
  std::optional<int64_t> sliding_window;  // tokens a query sees, itself included; only if some layer uses it

  // What the family's layers have.
  bool qkv_bias = false;
  bool o_proj_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;  // RMSNorm of each head's query and key

  // What the checkpoint holds in place of the linear layers' weights (quantized_checkpoint.h).
  Quantization quantization = Quantization::kNone;

  // Longest prompt in tokens that full causal attention scores as the reference does: max_position_embeddings, or a
  // smaller sliding window. A window of W hides nothing from a prompt of W tokens (query W - 1 still sees key 0).
  [[nodiscard]] int64_t max_positions() const;

  // As transformers counts them: every tensor, a tied head once.
  [[nodiscard]] int64_t num_parameters() const;

  [[nodiscard]] int64_t query_size() const { return num_attention_heads * head_dim; }
  [[nodiscard]] int64_t key_value_size() const { return num_key_value_heads * head_dim; }  // of keys or of values
};

// Bytes of one element: 4 for float32, 2 for bfloat16 and float16, 1 for 8-bit integers.
struct ElementBytes {
  int64_t compute = 4;     // what the layers are converted to
  int64_t checkpoint = 4;  // what the embeddings stay in
  int64_t rounded = 0;     // what those linear layers take that are quantised (rounded_layers); 0: as the others
};

// Memory that the weights take once loaded, in bytes: layers and norms in the compute dtype, but for those that are
// quantised, the embedding table in the checkpoint's, and the head as one float32 vector (w_A - w_B). Pure.
[[nodiscard]] int64_t weight_bytes(const ModelConfig& config, ElementBytes element_bytes);

// Reads the text of a config.json. `file_name` starts every message. Throws Error naming field, expected and found for
// anything missing, of the wrong type, out of range, or that would change the result and is not implemented: another
// model_type, another rope scaling, a partial rotary factor, another activation than silu, weights quantised
// by another program, bidirectional attention.
//
// Not guessed: sizes, rms_norm_eps, hidden_act. Defaults are only those that transformers gives to all four families or
// that older checkpoints rely on: rope_theta 10000 (Llama 2 has none), head_dim = hidden_size / num_attention_heads
// (not qwen3), num_key_value_heads = num_attention_heads (llama, or null), biases and tied embeddings off, the sliding
// window's fields. Both spellings of rope are read, `rope_scaling` first as in the reference: `rope_theta` with
// `rope_scaling`, and `rope_parameters`. Of the scalings `linear` with factor 1 and `dynamic` (which acts only past
// max_position_embeddings, where no prompt goes) leave the result unchanged and count as default.
[[nodiscard]] ModelConfig parse_model_config(std::string_view json_text, const std::string& file_name);

// The same for `config.json` in a checkpoint folder, and for a file of any name.
[[nodiscard]] ModelConfig load_model_config(const std::filesystem::path& folder);
[[nodiscard]] ModelConfig load_model_config_file(const std::filesystem::path& file);

}  // namespace prm_score
