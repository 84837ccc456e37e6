#include "prm_score/model/safetensors_writer.h"

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kLengthBytes = 8;

// The length, and the JSON that is so long.
std::string header_of(const std::vector<TensorEntry>& tensors) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  int64_t begin = 0;
  for (const TensorEntry& tensor : tensors) {
    const int64_t end = begin + tensor.num_bytes;
    json[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = json.dump();
  while ((kLengthBytes + text.size()) % kAlignment != 0) text += ' ';
  std::string length;
  for (size_t i = 0; i < kLengthBytes; ++i) length += static_cast<char>(text.size() >> (8 * i) & 0xFF);
  return length + text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, const std::vector<TensorEntry>& tensors)
    : file_(path) {
  const std::string header = header_of(tensors);
  num_bytes_left_ = std::ssize(header);
  for (const TensorEntry& tensor : tensors) num_bytes_left_ += tensor.num_bytes;
  write(std::as_bytes(std::span(header)));
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  num_bytes_left_ -= std::ssize(bytes);
  file_.write(bytes);
}

void SafetensorsWriter::finish() {
  if (num_bytes_left_ != 0) {
    throw Error(file_.name() + ": expected the bytes that its header says, got " +
                std::to_string(std::abs(num_bytes_left_)) + (num_bytes_left_ > 0 ? " fewer" : " more"));
  }
  file_.finish();
}

}  // namespace prm_score
