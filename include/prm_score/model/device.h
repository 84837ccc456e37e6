// device.h - where the model runs, chosen at run time.
//
// The program is linked with libtorch's CPU library only. CUDA's is loaded when it is asked for, from the folder that
// holds libtorch_cpu.so; so one binary serves both, builds without a CUDA toolkit, and a CPU run does not pay for it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <c10/core/Device.h>

namespace prm_score {

// The devices that `list` names, a replica of the model each: `cpu`, `cuda` (the first GPU), `cuda:N`, `auto` (the
// first GPU if driver, GPU and CUDA library are there, else the CPU), `cuda:all`, or several of `cpu` or of `cuda:N`
// with commas between them. Loads the CUDA library where needed, and then sets matrix products to full precision (no
// TF32, no reduced accumulation in bfloat16). Throws Error `--device cuda: ..` saying what is missing, and if the
// devices are not of one model: their last digits would differ. Call it before the first tensor is made: libtorch looks
// for CUDA once. Not thread-safe.
[[nodiscard]] std::vector<c10::Device> parse_devices(std::string_view list);

// Folder of the libtorch_cpu.so that this process runs. Throws Error if there is none.
[[nodiscard]] std::string libtorch_folder();

// Bytes free on a GPU, as its driver says; INT64_MAX if it does not. Call it after a tensor is made there.
[[nodiscard]] int64_t available_device_memory_bytes(c10::Device device);

// Of a GPU, 90 for 9.0; 0 if the driver does not say.
[[nodiscard]] int compute_capability(int index);

// Name of a GPU, "NVIDIA H200", and version of its driver, "580.159.04"; "unknown" if they do not say.
[[nodiscard]] std::string gpu_model(int index);
[[nodiscard]] std::string gpu_driver_version();

// `num_threads` CPU threads in all, for `num_replicas` that each have as many, at least one: these are the threads that
// one operation of the model may use. 0 = as many as there are processors for this process. Throws Error if negative.
struct NumThreads {
  int all = 0, per_replica = 0;
};
[[nodiscard]] NumThreads split_threads(int64_t num_threads, int64_t num_replicas);

// Threads that one operation of libtorch may use, of the whole process; not thread-safe.
void set_num_threads(int num_threads);

// The same, for operations that the calling thread starts. Thread-safe.
void set_own_num_threads(int num_threads);

// That this process may use.
[[nodiscard]] int num_processors();

}  // namespace prm_score
