#include "prm_score/io/jsonl_writer.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace prm_score {
namespace {

[[noreturn]] void throw_write_error(const std::string& name, int error_number) {
  const std::string message = name + ": cannot be written: " + std::generic_category().message(error_number);
  if (error_number == EPIPE) throw ClosedPipe(message);
  throw Error(message);
}

void wait_until_writable(int fd) {
  pollfd waited{fd, POLLOUT, 0};
  poll(&waited, 1, -1);  // an error shows in the next write
}

}  // namespace

JsonlWriter::JsonlWriter(int fd, std::string name) : fd_(fd), name_(std::move(name)) {
  const int flags = fcntl(fd_, F_GETFL);
  if (flags < 0) throw_write_error(name_, errno);
  if ((flags & O_ACCMODE) == O_RDONLY) throw_write_error(name_, EBADF);
}

void JsonlWriter::write(std::string_view rows) {
  while (!rows.empty()) {
    const ssize_t num_written = ::write(fd_, rows.data(), rows.size());
    if (num_written >= 0) {
      rows.remove_prefix(static_cast<size_t>(num_written));
    } else if (errno == EAGAIN) {
      wait_until_writable(fd_);
    } else if (errno != EINTR) {
      throw_write_error(name_, errno);
    }
  }
}

void JsonlWriter::finish() {
  const int copy = dup(fd_);  // closing a copy reports like closing the last one, and keeps `fd` taken
  if (copy < 0 || close(copy) != 0) throw_write_error(name_, errno);
}

}  // namespace prm_score
