#include "prm_score/cli/bus_errors.h"

#include <atomic>
#include <csignal>
#include <string_view>

#include <unistd.h>

#include "prm_score/cli/messages.h"
#include "prm_score/model/mapped_file.h"

namespace prm_score {
namespace {

std::atomic<int> exit_code_then = 1;

void write_text(std::string_view text) {
  [[maybe_unused]] const auto ignored = write(STDERR_FILENO, text.data(), text.size());
}

// Runs in the middle of anything: no memory, no locks.
void handle(int, siginfo_t* info, void*) {
  const char* path = MappedFile::path_at(info->si_addr);
  if (path == nullptr) {
    std::signal(SIGBUS, SIG_DFL);  // the access is tried again
    return;
  }
  erase_status_line_in_handler();
  write_text("prm-score: ");
  for (const char* c = path; *c != 0; ++c) {
    const bool is_control = static_cast<unsigned char>(*c) < ' ' || *c == 127;
    write_text(is_control ? "?" : std::string_view(c, 1));
  }
  write_text(": expected the file as it was when it was opened, found it cut short, or its disk failing\n");
  _exit(exit_code_then);
}

}  // namespace

void set_bus_error_exit_code(int exit_code) { exit_code_then = exit_code; }

void explain_bus_errors() {
  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace prm_score
