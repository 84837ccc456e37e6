// memory.h - how much memory there is to take.
#pragma once

#include <cstdint>
#include <filesystem>

namespace prm_score {

// Bytes that this process can still take without pushing others out: what the system calls available, or what is left
// to its control group where that is the root of the cgroup v2 file system (as in a container), whichever is less.
// Other groups' limits (cgroup v1, a slice of a host) are not seen. Page cache counts as available. INT64_MAX if
// neither can be read. `proc` and `cgroup`: where the system shows them.
[[nodiscard]] int64_t available_memory_bytes(const std::filesystem::path& proc = "/proc",
                                             const std::filesystem::path& cgroup = "/sys/fs/cgroup");

// Throws OutOfMemory unless the system would let this process have what the matrix libraries take for themselves in a
// forward pass with `num_threads` threads, and more (ulimit -v, strict overcommit). They do not tell when they get
// none: oneDNN may crash, and MKL goes on by another way, to other last bits.
void expect_memory_for_libraries(int num_threads);

}  // namespace prm_score
