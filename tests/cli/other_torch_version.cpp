// Loaded before libtorch (LD_PRELOAD), makes it say that it is $PRM_SCORE_TEST_TORCH_VERSION.
#include <cstdlib>
#include <string>

#include <ATen/Version.h>

std::string at::show_config() {
  return std::string("  - Build settings: TORCH_VERSION=") + std::getenv("PRM_SCORE_TEST_TORCH_VERSION") + ", \n";
}
