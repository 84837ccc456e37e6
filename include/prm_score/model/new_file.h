// new_file.h - a file that is written once, from its begin to its end, and then is on the disk. Free of torch, and of
// the io layer, which the model layer does not know.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "prm_score/error.h"

namespace prm_score {

// Not thread-safe. Every Error names the file.
class NewFile {
 public:
  // Empties what is there already. Throws Error.
  explicit NewFile(std::filesystem::path path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  [[nodiscard]] std::string name() const { return path_.string(); }

  // Throws Error if not all of them can be written.
  void write(std::span<const std::byte> bytes);

  // Waits until all is on the disk. Throws Error.
  void finish();

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

// The whole file, on the disk. Throws Error.
void write_new_file(const std::filesystem::path& path, std::string_view contents);

// "x.json: cannot be written: No space left on device", as errno says.
[[nodiscard]] Error write_error(const std::filesystem::path& path);

}  // namespace prm_score
