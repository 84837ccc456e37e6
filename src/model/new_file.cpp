#include "prm_score/model/new_file.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace prm_score {

NewFile::NewFile(std::filesystem::path path)
    : path_(std::move(path)), fd_(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666)) {
  if (fd_ < 0) throw write_error(path_);
}

NewFile::~NewFile() {
  if (fd_ >= 0) close(fd_);
}

void NewFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t num_written = ::write(fd_, bytes.data(), bytes.size());
    if (num_written < 0 && errno != EINTR) throw write_error(path_);
    if (num_written > 0) bytes = bytes.subspan(static_cast<size_t>(num_written));
  }
}

void NewFile::finish() {
  if (fsync(fd_) != 0) throw write_error(path_);
  if (close(std::exchange(fd_, -1)) != 0) throw write_error(path_);
}

void write_new_file(const std::filesystem::path& path, std::string_view contents) {
  NewFile file(path);
  file.write(std::as_bytes(std::span(contents)));
  file.finish();
}

Error write_error(const std::filesystem::path& path) {
  return Error(path.string() + ": cannot be written: " + std::generic_category().message(errno));
}

}  // namespace prm_score
