// A strange safetensors file: refused, or tensors that lie within it.
#include <span>

#include "fuzz.h"

#include "prm_score/model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace prm_score;
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  try {
    for (const auto& [name, tensor] : parse_safetensors({begin, size}, "model.safetensors")) {
      fuzz::expect(tensor.bytes.data() >= begin && tensor.bytes.data() + tensor.bytes.size() <= begin + size,
                   "tensors lie in the file");
      static_cast<void>(find_non_finite(tensor));
    }
  } catch (const Error&) {
  }
  return 0;
}
