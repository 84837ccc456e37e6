#include "prm_score/model/safetensors_writer.h"

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kLengthBytes = 8;

Error write_error(const std::string& name) {
  return Error(name + ": cannot be written: " + std::generic_category().message(errno));
}

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

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, const std::vector<TensorEntry>& tensors)
    : path_(std::move(path)) {
  const std::string header = header_of(tensors);
  num_bytes_left_ = static_cast<int64_t>(header.size());
  for (const TensorEntry& tensor : tensors) num_bytes_left_ += tensor.num_bytes;
  file_.fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (file_.fd < 0) throw write_error(name());
  write(std::as_bytes(std::span(header)));
}

SafetensorsWriter::Descriptor::~Descriptor() {
  if (fd >= 0) close(fd);
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  num_bytes_left_ -= std::ssize(bytes);
  while (!bytes.empty()) {
    const ssize_t num_written = ::write(file_.fd, bytes.data(), bytes.size());
    if (num_written < 0 && errno != EINTR) throw write_error(name());
    if (num_written > 0) bytes = bytes.subspan(static_cast<size_t>(num_written));
  }
}

void SafetensorsWriter::finish() {
  if (num_bytes_left_ != 0) {
    throw Error(name() + ": expected the bytes that its header says, got " + std::to_string(std::abs(num_bytes_left_)) +
                (num_bytes_left_ > 0 ? " fewer" : " more"));
  }
  if (fsync(file_.fd) != 0) throw write_error(name());
  if (close(std::exchange(file_.fd, -1)) != 0) throw write_error(name());
}

}  // namespace prm_score
