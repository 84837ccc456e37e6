// precision.h - in which numbers the model computes.
#pragma once

#include <string_view>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace prm_score {

// What the linear layers of the decoder round their weights and inputs to. Embeddings, norms, attention and the two
// label rows are never rounded.
enum class Quantization {
  kNone,
  kInt8,  // 8-bit integers with a scale per output and per row (int8_products.h); CPU only
};

struct Precision {
  c10::ScalarType dtype = c10::kFloat;  // of what lies between the layers: float32 or bfloat16
  Quantization quantization = Quantization::kNone;

  bool operator==(const Precision&) const = default;
};

// `float32`, `bfloat16`, `int8` (between the layers float32), or `auto`: float32 on the CPU, bfloat16 on a GPU. Throws
// Error for another name, and for one that `device` cannot compute in.
[[nodiscard]] Precision parse_precision(std::string_view name, c10::Device device);

// "float32", "bfloat16" or "int8".
[[nodiscard]] std::string_view precision_name(Precision precision);

}  // namespace prm_score
