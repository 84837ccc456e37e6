#include "prm_score/cli/thread_waiting.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <unistd.h>

namespace prm_score {

void shorten_thread_spinning(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error || setenv("GOMP_SPINCOUNT", "1000", /*overwrite=*/1) != 0) return;
  execv(program.c_str(), argv);  // returns only if it fails; then we go on as we are
}

}  // namespace prm_score
