#include "prm_score/model/precision.h"

#include <string>

#include "prm_score/error.h"

namespace prm_score {

Precision parse_precision(std::string_view name, c10::Device device, Quantization stored) {
  if (stored == Quantization::kInt8 && name == "auto") return parse_precision("int8", device, stored);
  if (stored == Quantization::kInt8 && (name == "float32" || name == "bfloat16")) {
    throw Error("--dtype " + std::string(name) +
                ": expected auto or int8, as the checkpoint is quantised (prm-score quantize)");
  }
  if (name == "auto") return {.dtype = device.is_cpu() ? c10::kFloat : c10::kBFloat16};
  if (name == "float32") return {.dtype = c10::kFloat};
  if (name == "bfloat16") return {.dtype = c10::kBFloat16};
  if (name == "int8") {
    if (device.is_cpu()) return {.dtype = c10::kFloat, .quantization = Quantization::kInt8};
    throw Error("--dtype int8: expected --device cpu, got " + device.str() + " (float32 and bfloat16 run there)");
  }
  throw Error("--dtype " + std::string(name) + ": expected auto, float32, bfloat16 or int8");
}

std::string_view precision_name(Precision precision) {
  if (precision.quantization == Quantization::kInt8) return "int8";
  return precision.dtype == c10::kBFloat16 ? "bfloat16" : "float32";
}

}  // namespace prm_score
