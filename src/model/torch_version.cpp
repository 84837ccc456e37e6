#include "prm_score/model/torch_version.h"

#include <algorithm>

#include <ATen/Version.h>
#include <torch/version.h>

#include "prm_score/error.h"
#include "prm_score/model/device.h"

namespace prm_score {
namespace {

// "2.15" of "2.15.0a0+git1234".
std::string_view minor_version(std::string_view version) {
  const size_t minor = version.find('.');
  if (minor == std::string_view::npos) return version;
  return version.substr(0, version.find_first_not_of("0123456789", minor + 1));
}

}  // namespace

std::string torch_version_in(std::string_view config) {
  constexpr std::string_view kName = "TORCH_VERSION=";
  const size_t found = config.find(kName);
  if (found == std::string_view::npos) return "unknown";
  const std::string_view rest = config.substr(found + kName.size());
  return std::string(rest.substr(0, rest.find_first_of(", \n")));
}

bool is_same_minor_version(std::string_view a, std::string_view b) { return minor_version(a) == minor_version(b); }

std::string torch_version() {
  static const std::string version = torch_version_in(at::show_config());
  return version;
}

std::string torch_version_of_build() { return TORCH_VERSION; }

void expect_torch_of_build() {
  if (is_same_minor_version(torch_version(), torch_version_of_build())) return;
  throw Error("libtorch: expected version " + std::string(minor_version(torch_version_of_build())) +
              ", which this program was built with, found " + torch_version() + " in " + libtorch_folder() +
              ": install that torch, or build again");
}

}  // namespace prm_score
