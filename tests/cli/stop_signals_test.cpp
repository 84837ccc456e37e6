#include "prm_score/cli/stop_signals.h"

#include <csignal>
#include <functional>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace prm_score {
namespace {

bool is_readable(int fd) {
  pollfd waited{fd, POLLIN, 0};
  return poll(&waited, 1, 0) == 1;
}

// The exit code of a process that runs `body`; 99 if `body` returns.
int exit_code_of(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(StopSignals, TheFirstSignalAsksARunToStop) {
  for (const auto& [number, name] : {std::pair{SIGHUP, "SIGHUP"}, {SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}}) {
    StopSignals stop;
    stop.finish_rows();
    EXPECT_FALSE(stop.requested());
    EXPECT_FALSE(is_readable(stop.fd()));
    raise(number);
    EXPECT_TRUE(stop.requested());
    EXPECT_TRUE(is_readable(stop.fd()));
    EXPECT_EQ(stop.signal_number(), number);
    EXPECT_EQ(stop.signal_name(), name);
  }
}

TEST(StopSignals, WithoutARunASignalEndsTheProcess) {
  EXPECT_EQ(exit_code_of([] {
              StopSignals stop;
              raise(SIGTERM);
            }),
            143);
}

TEST(StopSignals, TheSecondSignalEndsTheProcess) {
  EXPECT_EQ(exit_code_of([] {
              StopSignals stop;
              stop.finish_rows();
              raise(SIGTERM);
              raise(SIGINT);
            }),
            130);
}

TEST(StopSignals, IgnoredSignalsStayIgnored) {
  EXPECT_EQ(exit_code_of([] {
              std::signal(SIGHUP, SIG_IGN);
              StopSignals stop;
              raise(SIGHUP);
            }),
            99);
}

TEST(StopSignals, TheOldHandlersComeBack) {
  EXPECT_EQ(exit_code_of([] {
              { StopSignals stop; }
              raise(SIGTERM);
            }),
            -SIGTERM);
}

}  // namespace
}  // namespace prm_score
