// quantization.h - what the linear layers of a decoder are rounded to. Free of torch.
#pragma once

#include <cstdint>

namespace prm_score {

// Of weights and inputs of the decoder's linear layers. Embeddings, norms, attention and the two label rows are never
// rounded.
enum class Quantization {
  kNone,
  kInt8,  // 8-bit integers with a scale per output and per row (int8_products.h); CPU only
  kFp8,   // 8-bit floating point numbers, likewise (fp8_linear.h); GPU only
};

// The linear layers of a decoder layer that are rounded. The others stay in float32: all of the first one, whose error,
// the same for a token wherever it stands, is the largest part of what documents have in common; and what comes after
// attention in the last one, where only the rows that answer go on, so that it costs little.
struct RoundedLayers {
  bool qkv_proj = false;
  bool others = false;
};

[[nodiscard]] constexpr RoundedLayers rounded_layers(int64_t index, int64_t num_hidden_layers) {
  return {.qkv_proj = index > 0, .others = index > 0 && index + 1 < num_hidden_layers};
}

// `quantization_config` of a checkpoint that holds kInt8: quant_method, and layout, the number of the form in which the
// weights lie in it (quantized_checkpoint.h).
inline constexpr const char* kInt8QuantMethod = "prm-score-int8";
inline constexpr int64_t kInt8Layout = 1;

}  // namespace prm_score
