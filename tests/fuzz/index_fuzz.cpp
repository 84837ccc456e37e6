// A strange model.safetensors.index.json beside a sound shard: nothing outside the folder is opened.
#include "fuzz.h"

#include "prm_score/model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace prm_score;
  static const auto shard = [] {
    const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    std::string file(8, '\0');
    file[0] = static_cast<char>(header.size());
    return fuzz::write_file("a.safetensors", file + header + std::string(8, '\0'));
  }();
  fuzz::write_file("model.safetensors.index.json", fuzz::text_of(data, size));
  try {
    const SafetensorsReader reader(shard.parent_path());
    for (const auto& [name, tensor] : reader.tensors()) {
      fuzz::expect(tensor.file == "a.safetensors", "only the shard that is there is read");
    }
  } catch (const Error&) {
  }
  return 0;
}
