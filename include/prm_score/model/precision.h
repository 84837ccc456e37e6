// precision.h - in which numbers the model computes.
#pragma once

#include <string_view>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "prm_score/model/quantization.h"

namespace prm_score {

struct Precision {
  c10::ScalarType dtype = c10::kFloat;  // of what lies between the layers: float32 or bfloat16
  Quantization quantization = Quantization::kNone;

  bool operator==(const Precision&) const = default;
};

// `float32`, `bfloat16`, `int8` (between the layers float32), `fp8` (between them bfloat16), or `auto`: what the
// checkpoint is quantised to, `stored`; else float32 on the CPU, bfloat16 on a GPU. Throws Error for another name, for
// one that `device` cannot compute in, and for any but its own where the checkpoint is quantised.
[[nodiscard]] Precision parse_precision(std::string_view name, c10::Device device, Quantization stored);

// "float32", "bfloat16", "int8" or "fp8".
[[nodiscard]] std::string_view precision_name(Precision precision);

}  // namespace prm_score
