// cuda_module.h - CUDA kernels from their source, compiled by the NVRTC that libtorch brings along, launched through
// the driver. So the program needs no CUDA toolkit, neither to be built nor to run.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <c10/core/Device.h>

namespace prm_score {

// For `nvrtc`: handle of a loaded library that has NVRTC's functions.

// Compute capabilities that it compiles for, in rising order: 80, 90, .. Throws Error.
[[nodiscard]] std::vector<int> supported_capabilities(void* nvrtc);

// What to compile for on a GPU of this compute capability: `sm_90`, its machine code; that of an earlier one of the
// same generation; or `compute_90`, code that the driver translates, for a GPU newer than the compiler.
[[nodiscard]] std::string architecture_for(int capability, const std::vector<int>& supported);

// Code of `source` for such an architecture. Throws Error with the compiler's first message.
[[nodiscard]] std::string compile_cuda(void* nvrtc, const std::string& source, const std::string& architecture);

// Stays loaded as long as the process runs: at its end, or after a fault, there may be no driver left to ask.
class CudaModule {
 public:
  using Kernel = void*;
  using Size = std::array<unsigned, 3>;

  // Compiles for the device and loads. CUDA is in use there (see parse_devices). Throws Error, and OutOfMemory as all
  // members do.
  CudaModule(const std::string& source, c10::Device device);

  // A function of the source, declared extern "C". Throws Error.
  [[nodiscard]] Kernel kernel(const char* name) const;

  // On libtorch's current stream; `parameters` points at each parameter. Throws Error. Thread-safe.
  void launch(Kernel kernel, Size grid, Size block, void** parameters) const;

  // The parameters as they are: pointers and numbers, of the types that the kernel declares.
  template <typename... Parameters>
  void launch(Kernel kernel, Size grid, Size block, Parameters... parameters) const {
    std::array<void*, sizeof...(Parameters)> places = {&parameters...};
    launch(kernel, grid, block, places.data());
  }

 private:
  c10::Device device_;
  void* module_ = nullptr;
};

}  // namespace prm_score
