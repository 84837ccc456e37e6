#include "prm_score/io/jsonl_writer.h"

#include <cerrno>
#include <climits>
#include <cstdint>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace prm_score {
namespace {

[[noreturn]] void throw_write_error(const std::string& name, int error_number) {
  const std::string message = name + ": cannot be written: " + std::generic_category().message(error_number);
  if (error_number == EPIPE) throw ClosedPipe(message);
  throw Error(message);
}

size_t max_bytes_at_once(int fd, int flags) {
  struct stat status {};
  const bool never_blocks = (flags & O_NONBLOCK) != 0 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode));
  return never_blocks ? SIZE_MAX : PIPE_BUF;
}

// Takes back the last `num_bytes` of a regular file, if they are its last: a row that had no room.
void take_back(int fd, size_t num_bytes) {
  struct stat status {};
  if (num_bytes == 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
  const off_t end = lseek(fd, 0, SEEK_CUR);
  if (end != status.st_size) return;
  const off_t begin = end - static_cast<off_t>(num_bytes);
  if (ftruncate(fd, begin) == 0) lseek(fd, begin, SEEK_SET);
}

}  // namespace

JsonlWriter::JsonlWriter(int fd, std::string name, int stop_fd) : fd_(fd), name_(std::move(name)), stop_fd_(stop_fd) {
  const int flags = fcntl(fd_, F_GETFL);
  if (flags < 0) throw_write_error(name_, errno);
  if ((flags & O_ACCMODE) == O_RDONLY) throw_write_error(name_, EBADF);
  max_bytes_at_once_ = max_bytes_at_once(fd_, flags);
}

// Errors show in the next write.
void JsonlWriter::wait_until_writable() const {
  constexpr int kPatienceMs = 1000;
  pollfd waited[] = {{fd_, POLLOUT, 0}, {stop_fd_, POLLIN, 0}};  // poll ignores a negative descriptor
  while (poll(waited, 2, -1) < 0 && errno == EINTR) {
  }
  if (waited[0].revents != 0 || waited[1].revents == 0) return;
  if (poll(waited, 1, kPatienceMs) == 0) throw StalledOutput(name_ + ": nobody reads it");
}

void JsonlWriter::write(std::string_view rows) {
  size_t num_done = 0;
  while (num_done < rows.size()) {
    wait_until_writable();
    const std::string_view rest = rows.substr(num_done, max_bytes_at_once_);
    const ssize_t num_written = ::write(fd_, rest.data(), rest.size());
    if (num_written >= 0) {
      num_done += static_cast<size_t>(num_written);
    } else if (errno != EAGAIN && errno != EINTR) {
      const int error_number = errno;
      const std::string_view done = rows.substr(0, num_done);
      take_back(fd_, done.size() - (done.rfind('\n') + 1));  // npos + 1 = 0: no row is whole
      throw_write_error(name_, error_number);
    }
  }
}

void JsonlWriter::finish() {
  const int copy = dup(fd_);  // closing a copy reports like closing the last one, and keeps `fd` taken
  if (copy < 0 || close(copy) != 0) throw_write_error(name_, errno);
}

}  // namespace prm_score
