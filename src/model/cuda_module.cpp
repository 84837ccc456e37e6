#include "prm_score/model/cuda_module.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include "prm_score/error.h"
#include "prm_score/model/device.h"

namespace prm_score {
namespace {

template <typename Function>
Function* function_of(void* library, const char* name) {
  void* function = ::dlsym(library, name);
  if (function == nullptr) throw Error(std::string("CUDA: expected a library with ") + name + ", found one without");
  return reinterpret_cast<Function*>(function);
}

// Of the compiler's messages the first that says why.
std::string first_error(const std::string& log) {
  const size_t place = log.find("error");
  if (place == std::string::npos) return log.empty() ? "no message" : log.substr(0, log.find('\n'));
  const size_t begin = log.rfind('\n', place) + 1;  // npos + 1 is 0
  return log.substr(begin, log.find('\n', place) - begin);
}

using Program = void*;

// nvrtcProgram, destroyed in the end.
struct ProgramHolder {
  int (*destroy)(Program*);
  Program program = nullptr;

  explicit ProgramHolder(void* nvrtc) : destroy(function_of<int(Program*)>(nvrtc, "nvrtcDestroyProgram")) {}
  ~ProgramHolder() {
    if (program != nullptr) destroy(&program);
  }
  ProgramHolder(const ProgramHolder&) = delete;
  ProgramHolder& operator=(const ProgramHolder&) = delete;
};

// What two functions of NVRTC give: the size, and then the bytes.
std::string text_from(void* nvrtc, Program program, const char* size_name, const char* name) {
  size_t size = 0;
  if (function_of<int(Program, size_t*)>(nvrtc, size_name)(program, &size) != 0 || size == 0) return {};
  std::string text(size, '\0');
  return function_of<int(Program, char*)>(nvrtc, name)(program, text.data()) == 0 ? text : std::string();
}

// --- The driver, which is there once a tensor is on a GPU ---

void* driver() {
  static void* const library = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) throw Error("CUDA: no NVIDIA driver found (libcuda.so.1)");
  return library;
}

void expect_success(int result, const char* doing) {
  if (result == 0) return;
  constexpr int kOutOfMemory = 2;  // CUDA_ERROR_OUT_OF_MEMORY
  if (result == kOutOfMemory) throw OutOfMemory(std::string("CUDA: ") + doing + ": out of memory");
  const char* name = nullptr;
  const auto name_of = reinterpret_cast<int (*)(int, const char**)>(::dlsym(driver(), "cuGetErrorName"));
  if (name_of != nullptr) name_of(result, &name);
  throw Error(std::string("CUDA: ") + doing + ": " + (name != nullptr ? name : "error " + std::to_string(result)));
}

// Of the GPU of the current context: 90 for 9.0.
int current_capability() {
  constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_..
  const auto attribute = function_of<int(int*, int, int)>(driver(), "cuDeviceGetAttribute");
  int gpu = 0, major = 0, minor = 0;
  expect_success(function_of<int(int*)>(driver(), "cuCtxGetDevice")(&gpu), "current GPU");
  expect_success(attribute(&major, kMajor, gpu), "compute capability");
  expect_success(attribute(&minor, kMinor, gpu), "compute capability");
  return 10 * major + minor;
}

// libtorch's library that is linked to the NVRTC it was built with.
void* torchs_nvrtc() {
  const std::string path = libtorch_folder() + "/libcaffe2_nvrtc.so";
  void* library = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) throw Error(std::string("CUDA's run-time compiler: ") + ::dlerror());
  return library;
}

}  // namespace

std::vector<int> supported_capabilities(void* nvrtc) {
  int num_architectures = 0;
  std::vector<int> capabilities;
  bool is_known = function_of<int(int*)>(nvrtc, "nvrtcGetNumSupportedArchs")(&num_architectures) == 0;
  if (is_known) {
    capabilities.resize(num_architectures);
    is_known = function_of<int(int*)>(nvrtc, "nvrtcGetSupportedArchs")(capabilities.data()) == 0;
  }
  if (!is_known || capabilities.empty())
    throw Error("CUDA's run-time compiler: expected GPUs to compile for, found none");
  std::sort(capabilities.begin(), capabilities.end());
  return capabilities;
}

std::string architecture_for(int capability, const std::vector<int>& supported) {
  const auto behind = std::upper_bound(supported.begin(), supported.end(), capability);
  const int nearest = behind == supported.begin() ? supported.front() : *std::prev(behind);
  // Machine code runs on later GPUs of its generation, too.
  return (nearest / 10 == capability / 10 ? "sm_" : "compute_") + std::to_string(nearest);
}

std::string compile_cuda(void* nvrtc, const std::string& source, const std::string& architecture) {
  ProgramHolder holder(nvrtc);
  const auto create = function_of<int(Program*, const char*, const char*, int, const char* const*, const char* const*)>(
      nvrtc, "nvrtcCreateProgram");
  if (create(&holder.program, source.c_str(), "kernels.cu", 0, nullptr, nullptr) != 0) {
    throw Error("CUDA's run-time compiler: expected to start, found it failing");
  }
  const std::string target = "--gpu-architecture=" + architecture;
  const std::vector<const char*> arguments = {target.c_str(), "--std=c++17", "--fmad=true"};
  const auto compile = function_of<int(Program, int, const char* const*)>(nvrtc, "nvrtcCompileProgram");
  if (compile(holder.program, static_cast<int>(arguments.size()), arguments.data()) != 0) {
    const std::string log = text_from(nvrtc, holder.program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog");
    throw Error("CUDA kernels for " + architecture + ": " + first_error(log));
  }
  const bool is_machine_code = architecture.starts_with("sm_");
  std::string code = is_machine_code ? text_from(nvrtc, holder.program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
                                     : text_from(nvrtc, holder.program, "nvrtcGetPTXSize", "nvrtcGetPTX");
  if (code.empty()) throw Error("CUDA kernels for " + architecture + ": expected code, found none");
  return code;
}

CudaModule::CudaModule(const std::string& source, c10::Device device) : device_(device) {
  const c10::DeviceGuard guard(device);
  void* const nvrtc = torchs_nvrtc();
  const std::string architecture = architecture_for(current_capability(), supported_capabilities(nvrtc));
  const std::string code = compile_cuda(nvrtc, source, architecture);
  const auto load = function_of<int(void**, const void*)>(driver(), "cuModuleLoadData");
  expect_success(load(&module_, code.c_str()), "loading kernels");
}

CudaModule::Kernel CudaModule::kernel(const char* name) const {
  const c10::DeviceGuard guard(device_);
  Kernel kernel = nullptr;
  const auto find = function_of<int(Kernel*, void*, const char*)>(driver(), "cuModuleGetFunction");
  expect_success(find(&kernel, module_, name), name);
  return kernel;
}

void CudaModule::launch(Kernel kernel, Size grid, Size block, void** parameters) const {
  const c10::DeviceGuard guard(device_);  // not every caller works on this GPU
  using Launch =
      int(Kernel, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  static auto* const launch = function_of<Launch>(driver(), "cuLaunchKernel");
  void* const stream = c10::impl::VirtualGuardImpl(c10::kCUDA).getStream(device_).native_handle();
  expect_success(launch(kernel, grid[0], grid[1], grid[2], block[0], block[1], block[2], /*shared memory=*/0, stream,
                        parameters, nullptr),
                 "launching a kernel, or something before it");
}

}  // namespace prm_score
