// host.h - the machine that a run is on. Private to the cli layer.
#pragma once

#include <string>

namespace prm_score {

// Each is "unknown" if the system does not say.
[[nodiscard]] std::string cpu_name();     // "AMD EPYC 9V74 80-Core Processor"
[[nodiscard]] std::string kernel_name();  // "Linux 6.1.0-37-amd64 x86_64"
[[nodiscard]] std::string os_name();      // "Debian GNU/Linux 12 (bookworm)"

}  // namespace prm_score
