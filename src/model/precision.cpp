#include "prm_score/model/precision.h"

#include <string>

#include "prm_score/error.h"
#include "prm_score/model/device.h"

namespace prm_score {
namespace {

void expect_fp8_hardware(c10::Device device) {
  constexpr int kOldest = 89;
  const std::string expected = "--dtype fp8: expected a GPU of compute capability 8.9 or newer, got ";
  if (!device.is_cuda()) throw Error(expected + device.str() + " (int8 is for CPUs)");
  const int capability = compute_capability(device.index());
  if (capability >= kOldest) return;
  throw Error(expected + device.str() + " of " + std::to_string(capability / 10) + "." +
              std::to_string(capability % 10));
}

}  // namespace

Precision parse_precision(std::string_view name, c10::Device device, Quantization stored) {
  if (stored == Quantization::kInt8 && !device.is_cpu()) {
    throw Error("the checkpoint is quantised to int8: expected --device cpu, got " + device.str());
  }
  if (stored == Quantization::kInt8 && name == "auto") return parse_precision("int8", device, stored);
  if (stored == Quantization::kInt8 && name != "int8") {
    throw Error("--dtype " + std::string(name) +
                ": expected auto or int8, as the checkpoint is quantised; the one that it was made of gives the same "
                "rewards with --dtype int8");
  }
  if (name == "auto") return {.dtype = device.is_cpu() ? c10::kFloat : c10::kBFloat16};
  if (name == "float32") return {.dtype = c10::kFloat};
  if (name == "bfloat16") return {.dtype = c10::kBFloat16};
  if (name == "int8") {
    if (device.is_cpu()) return {.dtype = c10::kFloat, .quantization = Quantization::kInt8};
    throw Error("--dtype int8: expected --device cpu, got " + device.str() + " (float32 and bfloat16 run there)");
  }
  if (name == "fp8") {
    expect_fp8_hardware(device);
    return {.dtype = c10::kBFloat16, .quantization = Quantization::kFp8};
  }
  throw Error("--dtype " + std::string(name) + ": expected auto, float32, bfloat16, int8 or fp8");
}

std::string_view precision_name(Precision precision) {
  if (precision.quantization == Quantization::kInt8) return "int8";
  if (precision.quantization == Quantization::kFp8) return "fp8";
  return precision.dtype == c10::kBFloat16 ? "bfloat16" : "float32";
}

}  // namespace prm_score
