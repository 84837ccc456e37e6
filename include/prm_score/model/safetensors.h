// safetensors.h - the tensors of a checkpoint folder, in place in the mapped file.
//
//   offset 0        8                   8 + N            end of file
//          | N: u64 | N bytes of JSON   | tensor data .. |
//          | little | {"__metadata__": {..},
//          | endian |  "lm_head.weight": {"dtype": "BF16", "shape": [4, 2], "data_offsets": [0, 16]}, ..}
//
// `data_offsets` count from the first byte of tensor data; together the tensors cover it without holes or overlaps.
// Format: https://github.com/huggingface/safetensors. Free of torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/model/mapped_file.h"

namespace prm_score {

// One tensor as it lies in its file, row-major. `bytes` may start at any address: it is not aligned to the element.
struct StoredTensor {
  std::string file;   // name of the file within the folder, for messages
  std::string dtype;  // as the format spells it: F32, F16, BF16, I64, ..
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;  // num_elements * element size where that is known (4-bit and unknown types: any)
};

using StoredTensors = std::map<std::string, StoredTensor, std::less<>>;

// Reads the header of one file of which `file` are all the bytes; the tensors point into them. Throws Error that starts
// with `file_name` and names tensor, field, expected and found for anything that breaks the format: header length past
// the file or over 100 MB, header that is no JSON object, a dtype, shape or offset of the wrong type, sizes that
// overflow, offsets past the file, a byte size that is not that of the shape, overlaps and holes. Pure, thread-safe.
[[nodiscard]] StoredTensors parse_safetensors(std::span<const std::byte> file, const std::string& file_name);

// Numbers of a tensor that are nan or infinite.
struct NonFinite {
  int64_t count = 0;
  std::vector<int64_t> first;  // place of the first one; empty if there is none
};

// Of an F32, F16 or BF16 tensor; of another dtype none. Pure, thread-safe.
[[nodiscard]] NonFinite find_non_finite(const StoredTensor& tensor);

// "[152064, 3584]"
[[nodiscard]] std::string shape_to_string(std::span<const int64_t> shape);

// All tensors of a checkpoint: `model.safetensors`, or the shards that `model.safetensors.index.json` names, which lie
// in the same folder. Keeps the files mapped: no tensor may outlive it. Immutable, thread-safe.
class SafetensorsReader {
 public:
  // Throws Error, which names a file with its path, as parse_safetensors does; also if neither file is there, if the
  // index names a file that is not a plain name in the folder, or a tensor that is not in its file, and if two shards
  // hold the same tensor.
  explicit SafetensorsReader(const std::filesystem::path& folder);

  [[nodiscard]] bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }

  // A tensor to compute with. Throws Error naming the file if it is missing, has another shape, or a dtype other than
  // F32, F16 and BF16.
  [[nodiscard]] const StoredTensor& weight(std::string_view name, std::span<const int64_t> expected_shape) const;

  // A tensor of bytes, U8 [num_bytes]. Throws Error as weight().
  [[nodiscard]] const StoredTensor& packed(std::string_view name, int64_t num_bytes) const;

  [[nodiscard]] const StoredTensors& tensors() const { return tensors_; }

  // Throws as MappedFile, for every file.
  void expect_unchanged() const;

 private:
  void read_shards();
  void add_file(const std::string& file_name);
  [[nodiscard]] std::string path_of(const std::string& file_name) const;
  [[nodiscard]] const StoredTensor& find(std::string_view name, std::span<const int64_t> expected_shape) const;

  std::filesystem::path folder_;
  std::vector<MappedFile> files_;
  StoredTensors tensors_;
  std::string contents_file_;  // where a missing tensor should have been listed
};

}  // namespace prm_score
