#include "prm_score/cli/stop_signals.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "prm_score/cli/messages.h"
#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr std::array kSignals = {SIGHUP, SIGINT, SIGTERM};

// What the handler may touch: lock-free atomics only.
std::atomic<bool> is_graceful = false;
std::atomic<bool> is_requested = false;
std::atomic<int> first_signal = 0;
std::atomic<int> wake_fd = -1;
std::array<struct sigaction, kSignals.size()> previous_actions;

void handle(int signal_number) {
  const int saved_errno = errno;
  int none = 0;
  if (!is_graceful || !first_signal.compare_exchange_strong(none, signal_number)) {
    erase_status_line_in_handler();
    _exit(128 + signal_number);
  }
  is_requested = true;  // last: whoever sees it sees which signal it was
  [[maybe_unused]] const auto ignored = write(wake_fd, "x", 1);
  errno = saved_errno;
}

}  // namespace

StopSignals::StopSignals() {
  if (pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0) {
    throw Error("signals: no pipe: " + std::generic_category().message(errno));
  }
  wake_fd = pipe_[1];
  is_graceful = is_requested = false;
  first_signal = 0;
  struct sigaction action {};
  action.sa_handler = handle;  // without SA_RESTART: a wait is to end
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &previous_actions[i]);
    if (previous_actions[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &previous_actions[i], nullptr);
  wake_fd = -1;
  for (const int end : pipe_) close(end);
}

void StopSignals::finish_rows() { is_graceful = true; }

void StopSignals::end_waits() { [[maybe_unused]] const auto ignored = write(pipe_[1], "x", 1); }

const std::atomic<bool>& StopSignals::requested() const { return is_requested; }

int StopSignals::signal_number() const { return first_signal; }

std::string StopSignals::signal_name() const {
  switch (first_signal) {
    case SIGHUP:
      return "SIGHUP";
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    default:
      return "";
  }
}

}  // namespace prm_score
