// mapped_file.h - a regular file, mapped into memory for reading.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace prm_score {

// Read-only view of a whole file; the pages come from disk when they are touched. Immutable after construction,
// thread-safe. The file must not be cut short while it is mapped: touching a page past its end raises SIGBUS.
class MappedFile {
 public:
  // Follows symbolic links to a regular file. Throws Error naming the path if it cannot be opened or is anything else
  // (folder, FIFO, device, ..); such a thing is never opened, so a FIFO without a writer does not block.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Valid as long as the object, also when that is moved.
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace prm_score
