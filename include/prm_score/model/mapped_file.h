// mapped_file.h - a regular file, mapped into memory for reading.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace prm_score {

// Read-only view of a whole file; the pages come from disk when they are touched. Immutable after construction,
// thread-safe. If the file is cut short while it is mapped, or its disk fails, touching such a page raises SIGBUS.
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
  [[nodiscard]] std::span<const std::byte> bytes() const;
  [[nodiscard]] std::string_view text() const;

  // Throws Error if the file was written to since it was opened: what was read since then may be a mixture. A file
  // that took over its name is another one, and no matter.
  void expect_unchanged() const;

  // The file that is mapped at `address`, for whoever handles SIGBUS; nullptr if none is. Async-signal-safe.
  [[nodiscard]] static const char* path_at(const void* address) noexcept;

 private:
  struct Mapping;
  std::unique_ptr<const Mapping> mapping_;
};

}  // namespace prm_score
