// jsonl_writer.h - rows to a file descriptor, each whole, each write checked.
#pragma once

#include <string>
#include <string_view>

#include "prm_score/error.h"

namespace prm_score {

// Nobody reads the output any more (EPIPE). Ends a run without a message.
class ClosedPipe : public Error {
 public:
  using Error::Error;
};

// Writes at once and keeps nothing back, so what was handed over is out when a call returns, and a reader behind a pipe
// sees every row as it is made. SIGPIPE must be ignored. Not thread-safe.
class JsonlWriter {
 public:
  // `fd` stays open and is not owned. `name` is for messages. Throws Error if `fd` is not open for writing.
  JsonlWriter(int fd, std::string name);

  // `rows`: any number of whole lines. Goes on after short writes and signals, also if `fd` is non-blocking. Throws
  // ClosedPipe, or Error naming the output (`standard output: cannot be written: No space left on device`).
  void write(std::string_view rows);

  // Asks the system for errors it has kept back (full network disks). Throws Error.
  void finish();

 private:
  int fd_;
  std::string name_;
};

}  // namespace prm_score
