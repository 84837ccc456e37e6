#include "prm_score/model/device.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <optional>
#include <string>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>
#include <omp.h>
#include <sched.h>

#include "prm_score/error.h"
#include "prm_score/model/torch_error.h"

namespace prm_score {
namespace {

constexpr char kUnknown[] = "unknown";

// Why CUDA cannot be used; nullopt if it can.
using Obstacle = std::optional<std::string>;

template <typename Function>
Function* find_function(void* library, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

// Asks the driver itself: much cheaper than loading libtorch's CUDA library, and its answers are plain. Honours
// CUDA_VISIBLE_DEVICES.
Obstacle find_no_gpu() {
  void* driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return "no NVIDIA driver found (libcuda.so.1)";
  const auto init = find_function<int(unsigned)>(driver, "cuInit");
  const auto count_devices = find_function<int(int*)>(driver, "cuDeviceGetCount");
  if (init == nullptr || count_devices == nullptr) return "libcuda.so.1 is no NVIDIA driver";
  if (const int result = init(0); result != 0)
    return "no usable GPU found (cuInit: error " + std::to_string(result) + ")";
  int num_devices = 0;
  if (count_devices(&num_devices) != 0 || num_devices == 0) return "no GPU found";
  return std::nullopt;
}

// bfloat16 in hardware, and libtorch's flash attention, begin with this one.
Obstacle find_too_old(int index) {
  constexpr int kOldest = 80;
  const int capability = compute_capability(index);
  if (capability == 0 || capability >= kOldest) return std::nullopt;
  return "GPU " + std::to_string(index) + ": expected compute capability 8.0 or newer, found " +
         std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

// Registers CUDA's kernels with libtorch. Never unloaded.
Obstacle load_cuda_library() {
  // Products chosen by the clock would give other bits from run to run. Caches of all sizes come and go between steps;
  // memory in pieces would look like none.
  ::setenv("PYTORCH_TUNABLEOP_ENABLED", "0", /*overwrite=*/1);
  ::setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True", /*overwrite=*/0);
  const std::string path = libtorch_folder() + "/libtorch_cuda.so";
  if (::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return std::string("libtorch without CUDA (") + ::dlerror() + ")";
  }
  if (!at::globalContext().hasCUDA()) return path + " is loaded, but libtorch sees no GPU";
  at::globalContext().setFloat32MatmulPrecision("highest");
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
  return std::nullopt;
}

Obstacle enable_cuda() {
  if (auto obstacle = find_no_gpu()) return obstacle;
  return load_cuda_library();
}

// N of `cuda:N`.
std::optional<int> parse_index(std::string_view digits) {
  int index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size() || index < 0) return std::nullopt;
  return index;
}

c10::Device cuda_device(int index, const std::string& option) {
  if (const auto obstacle = enable_cuda()) throw Error(option + ": " + *obstacle);
  const int num_devices = static_cast<int>(at::detail::getCUDAHooks().getNumGPUs());
  if (index >= num_devices) {
    throw Error(option + ": expected cuda:0 to cuda:" + std::to_string(num_devices - 1) +
                ", got cuda:" + std::to_string(index));
  }
  if (const auto obstacle = find_too_old(index)) throw Error(option + ": " + *obstacle);
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

c10::Device one_of_list(std::string_view name, const std::string& option) {
  constexpr std::string_view kCudaPrefix = "cuda:";
  if (name == "cpu") return c10::kCPU;
  const auto index = name.starts_with(kCudaPrefix) ? parse_index(name.substr(kCudaPrefix.size())) : std::nullopt;
  if (!index) {
    throw Error(option + ": expected auto, cpu, cuda, cuda:N, cuda:all, or several as cuda:0,cuda:1 or cpu,cpu");
  }
  return cuda_device(*index, option);
}

// Other hardware computes other last digits: what a document gets would be chance.
void expect_one_model(const std::vector<c10::Device>& devices, const std::string& option) {
  const auto name_of = [](c10::Device device) { return device.is_cpu() ? "CPU" : gpu_model(device.index()); };
  for (const c10::Device device : devices) {
    if (name_of(device) == name_of(devices[0])) continue;
    throw Error(option + ": expected devices of one model, found " + devices[0].str() + " (" + name_of(devices[0]) +
                ") and " + device.str() + " (" + name_of(device) + ")");
  }
}

std::vector<c10::Device> all_gpus(const std::string& option) {
  std::vector<c10::Device> devices = {cuda_device(0, option)};
  const int num_devices = static_cast<int>(at::detail::getCUDAHooks().getNumGPUs());
  for (int index = 1; index < num_devices; ++index) devices.push_back(cuda_device(index, option));
  expect_one_model(devices, option);
  return devices;
}

}  // namespace

int num_processors() {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  const bool is_known = ::sched_getaffinity(0, sizeof(processors), &processors) == 0;
  return is_known ? CPU_COUNT(&processors) : 1;
}

std::string libtorch_folder() {
  std::array<char, PATH_MAX> folder = {};
  void* library = ::dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr || ::dlinfo(library, RTLD_DI_ORIGIN, folder.data()) != 0) {
    throw Error("libtorch_cpu.so: expected to be loaded, found no trace of it");
  }
  return folder.data();
}

std::vector<c10::Device> parse_devices(std::string_view list) {
  const std::string option = "--device " + std::string(list);
  return with_torch_errors(option, [&]() -> std::vector<c10::Device> {
    if (list == "auto") {
      const bool has_gpu = !find_no_gpu() && !find_too_old(0) && !load_cuda_library();
      return {has_gpu ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU)};
    }
    if (list == "cuda") return {cuda_device(0, option)};
    if (list == "cuda:all") return all_gpus(option);
    std::vector<c10::Device> devices;
    for (size_t begin = 0; begin <= list.size();) {
      const size_t end = std::min(list.find(',', begin), list.size());
      devices.push_back(one_of_list(list.substr(begin, end - begin), option));
      begin = end + 1;
    }
    expect_one_model(devices, option);
    return devices;
  });
}

int64_t available_device_memory_bytes(c10::Device device) {
  void* driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr || !device.is_cuda()) return INT64_MAX;
  const auto get_info = find_function<int(size_t*, size_t*)>(driver, "cuMemGetInfo_v2");
  const c10::DeviceGuard guard(device);
  size_t num_free = 0, num_bytes = 0;
  if (get_info == nullptr || get_info(&num_free, &num_bytes) != 0) return INT64_MAX;
  return static_cast<int64_t>(num_free);
}

int compute_capability(int index) {
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_..
  void* driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  const auto attribute = find_function<int(int*, int, int)>(driver, "cuDeviceGetAttribute");
  int major = 0, minor = 0;
  if (attribute == nullptr || attribute(&major, kMajor, index) != 0 || attribute(&minor, kMinor, index) != 0) return 0;
  return 10 * major + minor;
}

std::string gpu_model(int index) {
  void* driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return kUnknown;
  const auto get_device = find_function<int(int*, int)>(driver, "cuDeviceGet");
  const auto get_name = find_function<int(char*, int, int)>(driver, "cuDeviceGetName");
  std::array<char, 256> name = {};
  int device = 0;
  if (get_device == nullptr || get_name == nullptr || get_device(&device, index) != 0) return kUnknown;
  return get_name(name.data(), static_cast<int>(name.size()) - 1, device) == 0 ? name.data() : kUnknown;
}

// Of the management library, which comes with the driver: libcuda.so.1 itself knows only the CUDA version.
std::string gpu_driver_version() {
  void* library = ::dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) return kUnknown;
  const auto init = find_function<int()>(library, "nvmlInit_v2");
  const auto get_version = find_function<int(char*, unsigned)>(library, "nvmlSystemGetDriverVersion");
  const auto shut_down = find_function<int()>(library, "nvmlShutdown");
  if (init == nullptr || get_version == nullptr || shut_down == nullptr || init() != 0) return kUnknown;
  std::array<char, 128> version = {};
  const bool is_known = get_version(version.data(), version.size() - 1) == 0;
  shut_down();
  return is_known ? version.data() : kUnknown;
}

NumThreads split_threads(int64_t num_threads, int64_t num_replicas) {
  if (num_threads < 0 || num_threads > INT_MAX) {
    throw Error("--threads " + std::to_string(num_threads) + ": expected at least 0");
  }
  const int all = num_threads == 0 ? num_processors() : static_cast<int>(num_threads);
  return {.all = all, .per_replica = static_cast<int>(std::max<int64_t>(1, all / num_replicas))};
}

void set_num_threads(int num_threads) { at::set_num_threads(num_threads); }

void set_own_num_threads(int num_threads) {
  // What gives a thread the process's number, once: in libtorch, and in this library, which has that code a second
  // time.
  static_cast<void>(at::get_num_threads());
  at::internal::lazy_init_num_threads();
  omp_set_num_threads(num_threads);
}

}  // namespace prm_score
