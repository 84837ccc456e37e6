#include "prm_score/io/replace_file.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

Error write_error(const std::string& path, int error_number) {
  return Error(path + ": cannot be written: " + std::generic_category().message(error_number));
}

// These two return 0, or the number of the error.
int write_all(int fd, std::string_view contents) {
  while (!contents.empty()) {
    const ssize_t num_written = write(fd, contents.data(), contents.size());
    if (num_written < 0 && errno != EINTR) return errno;
    if (num_written > 0) contents.remove_prefix(static_cast<size_t>(num_written));
  }
  return 0;
}

enum class Sync { kNo, kYes };

int write_file(const std::string& path, int flags, std::string_view contents, Sync sync) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0666);
  if (fd < 0) return errno;
  int error_number = write_all(fd, contents);
  if (error_number == 0 && sync == Sync::kYes && fsync(fd) != 0) error_number = errno;
  if (close(fd) != 0 && error_number == 0) error_number = errno;
  return error_number;
}

bool is_special_file(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
}

bool is_one_file(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

fs::path folder_of(const fs::path& path) {
  const auto folder = path.parent_path();
  return folder.empty() ? "." : folder;
}

int write_anew(const std::string& path, std::string_view contents) {
  return write_file(path, O_CREAT | O_TRUNC | O_NOFOLLOW, contents, Sync::kYes);
}

}  // namespace

std::string read_whole(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string text;
  for (char block[4096]; in;) {
    in.read(block, sizeof(block));
    text.append(block, static_cast<size_t>(in.gcount()));
  }
  if (!in.eof()) throw Error(path + ": cannot be read: " + std::generic_category().message(errno));
  return text;
}

fs::path target_of(fs::path path) {
  std::error_code error;
  constexpr int kMostLinks = 40;  // as the kernel
  for (int i = 0; i < kMostLinks && fs::is_symlink(path, error); ++i) {
    path = path.parent_path() / fs::read_symlink(path, error);
  }
  const auto target = fs::weakly_canonical(path, error);
  return error ? path : target;
}

bool is_open_as(int fd, const std::string& path) {
  struct stat opened {
  }, named{};
  return fstat(fd, &opened) == 0 && stat(path.c_str(), &named) == 0 && is_one_file(opened, named);
}

bool are_open_as_one(int fd, int other_fd) {
  struct stat opened {
  }, other{};
  return fstat(fd, &opened) == 0 && fstat(other_fd, &other) == 0 && is_one_file(opened, other);
}

void check_replaceable(const std::string& path) {
  if (path.empty()) throw write_error(path, ENOENT);
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) throw write_error(path, EISDIR);
  const auto checked = is_special_file(path) ? fs::path(path) : folder_of(target_of(path));
  if (access(checked.c_str(), W_OK) != 0) throw write_error(path, errno);
}

void replace_file(const std::string& path, std::string_view contents) {
  if (is_open_as(STDERR_FILENO, path)) {  // it may be a file: a log, say, whose lines are to stay
    if (const int error_number = write_all(STDERR_FILENO, contents)) throw write_error(path, error_number);
    return;
  }
  if (is_special_file(path)) {
    if (const int error_number = write_file(path, 0, contents, Sync::kNo)) throw write_error(path, error_number);
    return;
  }
  const std::string target = target_of(path);
  replace_file(target, target + ".new." + std::to_string(getpid()), contents);
}

void replace_file(const std::string& path, const std::string& beside, std::string_view contents) {
  int error_number = write_anew(beside, contents);
  if (error_number == 0 && rename(beside.c_str(), path.c_str()) != 0) error_number = errno;
  if (error_number != 0) {
    unlink(beside.c_str());
    throw write_error(path, error_number);
  }
}

void write_synced(const std::string& path, std::string_view contents) {
  const int error_number = write_anew(path, contents);
  if (error_number == 0) return;
  unlink(path.c_str());
  throw write_error(path, error_number);
}

void sync_folder_of(const std::string& path) {
  const std::string folder = folder_of(path).string();
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw write_error(folder, errno);
  const int error_number = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  if (error_number != 0 && error_number != EINVAL) throw write_error(folder, error_number);  // not every disk can
}

}  // namespace prm_score
