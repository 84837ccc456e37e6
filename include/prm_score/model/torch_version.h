// torch_version.h - which libtorch runs. It need not be the one that the program was built with: the environment's may
// have been replaced since.
#pragma once

#include <string>
#include <string_view>

namespace prm_score {

// "2.15.0": of the libtorch that this process runs.
[[nodiscard]] std::string torch_version();

// "2.15.0": of the libtorch that this was built with.
[[nodiscard]] std::string torch_version_of_build();

// Throws Error naming both versions and the folder unless they agree up to the minor version: C++ calls between others
// are not defined, and what they compute is not what was tested.
void expect_torch_of_build();

// What at::show_config() says after TORCH_VERSION=; "unknown" if it does not.
[[nodiscard]] std::string torch_version_in(std::string_view config);

// Whether two versions agree in their first two numbers.
[[nodiscard]] bool is_same_minor_version(std::string_view a, std::string_view b);

}  // namespace prm_score
