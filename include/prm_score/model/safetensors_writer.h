// safetensors_writer.h - writes a safetensors file (safetensors.h) tensor by tensor. Free of torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "prm_score/model/new_file.h"

namespace prm_score {

// A tensor that is to be written.
struct TensorEntry {
  std::string name;
  std::string dtype;  // as the format spells it
  std::vector<int64_t> shape;
  int64_t num_bytes = 0;  // what dtype and shape come to
};

// Tensors lie in the order given, and the first one at a multiple of 64 bytes in the file. Not thread-safe.
class SafetensorsWriter {
 public:
  // Makes `path` anew, with its header. Throws Error naming it.
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<TensorEntry>& tensors);

  // The next bytes: of the first tensor, then of the second one, ... Throws Error naming the file.
  void write(std::span<const std::byte> bytes);

  // Waits until all is on the disk. Throws Error, also if more or fewer bytes were written than the header says.
  void finish();

 private:
  NewFile file_;
  int64_t num_bytes_left_ = 0;
};

}  // namespace prm_score
