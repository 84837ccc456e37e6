#include "prm_score/model/memory.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include <sys/mman.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

// `MemAvailable:   23456789 kB`
std::optional<int64_t> system_bytes(const std::filesystem::path& proc) {
  std::ifstream file(proc / "meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kilobytes = 0;
    if (words >> name >> kilobytes && name == "MemAvailable:") return kilobytes * 1024;
  }
  return std::nullopt;
}

// A file with one number; nullopt for `max`.
std::optional<int64_t> number_in(const std::filesystem::path& path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

// Version 2, as containers see their own group.
std::optional<int64_t> group_bytes(const std::filesystem::path& cgroup) {
  const auto limit = number_in(cgroup / "memory.max"), used = number_in(cgroup / "memory.current");
  if (!limit || !used) return std::nullopt;
  int64_t reclaimable = 0;
  std::ifstream file(cgroup / "memory.stat");
  std::string name;
  for (int64_t bytes = 0; file >> name >> bytes;) {
    if (name == "inactive_file" || name == "active_file") reclaimable += bytes;
  }
  return std::max<int64_t>(0, *limit - *used + reclaimable);
}

}  // namespace

void expect_memory_for_libraries(int num_threads) {
  const size_t num_bytes = (size_t{128} + size_t{32} * static_cast<size_t>(num_threads)) << 20;
  void* address = mmap(nullptr, num_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    throw OutOfMemory("out of memory: expected room for another " + std::to_string(num_bytes >> 20) +
                      "M of address space (ulimit -v), found less");
  }
  munmap(address, num_bytes);
}

int64_t available_memory_bytes(const std::filesystem::path& proc, const std::filesystem::path& cgroup) {
  return std::min(system_bytes(proc).value_or(INT64_MAX), group_bytes(cgroup).value_or(INT64_MAX));
}

}  // namespace prm_score
