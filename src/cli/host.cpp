#include "host.h"

#include <fstream>
#include <string_view>

#include <sys/utsname.h>

namespace prm_score {
namespace {

constexpr char kUnknown[] = "unknown";

// What follows `separator` in the first line of `file` that starts with `name`.
std::string value_of(const char* file, std::string_view name, char separator) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const size_t begin = line.find_first_not_of(" \t\"", line.find(separator) + 1);
    const size_t end = line.find_last_not_of(" \t\"");
    return begin <= end && end != std::string::npos ? line.substr(begin, end + 1 - begin) : kUnknown;
  }
  return kUnknown;
}

}  // namespace

std::string cpu_name() { return value_of("/proc/cpuinfo", "model name", ':'); }

std::string kernel_name() {
  utsname name = {};
  if (uname(&name) != 0) return kUnknown;
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

std::string os_name() { return value_of("/etc/os-release", "PRETTY_NAME=", '='); }

}  // namespace prm_score
