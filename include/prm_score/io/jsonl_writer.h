// jsonl_writer.h - rows to a file descriptor, each whole, each write checked.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "prm_score/error.h"

namespace prm_score {

// Nobody reads the output any more (EPIPE). Ends a run without a message.
class ClosedPipe : public Error {
 public:
  using Error::Error;
};

// The run is to stop, and nobody reads the output, so that a row could not be brought to its end. Ends a run without a
// message.
class StalledOutput : public Error {
 public:
  using Error::Error;
};

// Writes at once and keeps nothing back, so what was handed over is out when a call returns, and a reader behind a pipe
// sees every row as it is made. SIGPIPE must be ignored. Not thread-safe.
class JsonlWriter {
 public:
  // `fd` stays open and is not owned. `name` is for messages. Once `stop_fd` is readable, a reader who has stalled is
  // no longer waited for, but for a second in the middle of a row. Throws Error if `fd` is not open for writing.
  JsonlWriter(int fd, std::string name, int stop_fd = -1);

  // `rows`: any number of whole lines. Where there is no room for a row, a regular file ends with the row before. Goes
  // on after short writes and signals, also if `fd` is non-blocking. Throws ClosedPipe, StalledOutput, or Error naming
  // the output (`standard output: cannot be written: No space left on device`).
  void write(std::string_view rows);

  // Asks the system for errors it has kept back (full network disks). Throws Error.
  void finish();

 private:
  void wait_until_writable() const;

  int fd_;
  std::string name_;
  int stop_fd_;
  size_t max_bytes_at_once_;  // that surely do not block when poll() says so
};

}  // namespace prm_score
