#include "prm_score/model/mapped_file.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

std::string errno_text() { return std::generic_category().message(errno); }

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  if (S_ISSOCK(mode)) return "a socket";
  return "something else";
}

void expect_regular_file(const struct stat& status, const std::filesystem::path& path) {
  if (!S_ISREG(status.st_mode)) {
    throw Error(path.string() + ": expected a regular file, found " + kind_of(status.st_mode));
  }
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int value) : value_(value) {}
  ~FileDescriptor() {
    if (value_ >= 0) ::close(value_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

// A regular file, open for reading, and what it was like then.
struct OpenFile {
  FileDescriptor descriptor;
  struct stat status;
};

OpenFile open_regular_file(const std::filesystem::path& path) {
  // Looked at before it is opened: opening a FIFO blocks and opening a device may have effects. Looked at again
  // afterwards, as the path may have changed in between; O_NONBLOCK is for that moment.
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) throw Error(path.string() + ": cannot open: " + errno_text());
  expect_regular_file(status, path);
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    throw Error(path.string() + ": cannot open: " + errno_text());
  }
  expect_regular_file(status, path);
  return {.descriptor = std::move(file), .status = status};
}

bool is_same_time(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

}  // namespace

struct MappedFile::Mapping {
  explicit Mapping(const std::filesystem::path& file_path) : path(file_path.string()), file(open_regular_file(path)) {
    size = static_cast<size_t>(file.status.st_size);
    if (size == 0) return;  // mmap refuses an empty range
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor.get(), 0);
    if (address == MAP_FAILED) throw Error(path + ": cannot map into memory: " + errno_text());
    data = static_cast<const std::byte*>(address);
    for (auto& slot : known) {
      const Mapping* none = nullptr;
      if (slot.compare_exchange_strong(none, this)) break;
    }
  }
  ~Mapping() {
    for (auto& slot : known) {
      const Mapping* self = this;
      if (slot.compare_exchange_strong(self, nullptr)) break;
    }
    if (data != nullptr) ::munmap(const_cast<std::byte*>(data), size);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // For path_at(); more files than that have no name there.
  static inline std::array<std::atomic<const Mapping*>, 1024> known = {};

  const std::string path;
  const OpenFile file;
  const std::byte* data = nullptr;
  size_t size = 0;
};

MappedFile::MappedFile(const std::filesystem::path& path) : mapping_(std::make_unique<const Mapping>(path)) {}
MappedFile::~MappedFile() = default;
MappedFile::MappedFile(MappedFile&& other) noexcept = default;
MappedFile& MappedFile::operator=(MappedFile&& other) noexcept = default;

std::span<const std::byte> MappedFile::bytes() const {
  if (!mapping_) return {};  // moved from
  return {mapping_->data, mapping_->size};
}

std::string_view MappedFile::text() const {
  const auto all = bytes();
  return {reinterpret_cast<const char*>(all.data()), all.size()};
}

void MappedFile::expect_unchanged() const {
  const auto& [descriptor, before] = mapping_->file;
  struct stat now = {};
  if (::fstat(descriptor.get(), &now) != 0) throw Error(mapping_->path + ": cannot be looked at: " + errno_text());
  if (now.st_size == before.st_size && is_same_time(now.st_mtim, before.st_mtim)) return;
  throw Error(mapping_->path +
              ": expected the file as it was when it was opened, found that it was written to meanwhile");
}

const char* MappedFile::path_at(const void* address) noexcept {
  const auto* byte = static_cast<const std::byte*>(address);
  for (const auto& slot : Mapping::known) {
    const Mapping* mapping = slot;
    if (mapping != nullptr && byte >= mapping->data && byte < mapping->data + mapping->size) {
      return mapping->path.c_str();
    }
  }
  return nullptr;
}

}  // namespace prm_score
