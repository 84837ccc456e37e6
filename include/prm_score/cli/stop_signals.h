// stop_signals.h - SIGHUP, SIGINT and SIGTERM end a run in good order.
#pragma once

#include <atomic>
#include <string>

namespace prm_score {

// Takes the three signals over, except those that were ignored before (nohup, background jobs). At first, and from the
// second one on, a signal ends the process at once with 128 + its number. After finish_rows() the first one only asks
// the run to stop. One at a time in a process.
class StopSignals {
 public:
  // Throws Error if the system has no descriptors left.
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  void finish_rows();

  // Whether the run is to stop.
  [[nodiscard]] const std::atomic<bool>& requested() const;

  // Becomes readable when the run is to stop, and after end_waits(); for poll().
  [[nodiscard]] int fd() const { return pipe_[0]; }

  // Ends, now and later, what waits for fd(). From any thread.
  void end_waits();

  // The signal that asked to stop, 0 if none did; and its name, "SIGTERM".
  [[nodiscard]] int signal_number() const;
  [[nodiscard]] std::string signal_name() const;

 private:
  int pipe_[2] = {-1, -1};
};

}  // namespace prm_score
