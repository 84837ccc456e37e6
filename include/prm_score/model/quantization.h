// quantization.h - what the linear layers of a decoder are rounded to. Free of torch.
#pragma once

#include <cstdint>

namespace prm_score {

// Of weights and inputs of the decoder's linear layers. Embeddings, norms, attention and the two label rows are never
// rounded.
enum class Quantization {
  kNone,
  kInt8,  // 8-bit integers with a scale per output and per row (int8_products.h); CPU only
};

// `quantization_config` of a checkpoint that holds kInt8: quant_method, and layout, the number of the form in which the
// weights lie in it (quantized_checkpoint.h).
inline constexpr const char* kInt8QuantMethod = "prm-score-int8";
inline constexpr int64_t kInt8Layout = 1;

}  // namespace prm_score
