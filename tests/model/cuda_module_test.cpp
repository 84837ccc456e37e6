// What can be seen of our CUDA kernels without a GPU: that CUDA's run-time compiler, where it is installed, takes them.
#include "prm_score/model/cuda_module.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "prm_score/error.h"
#include "prm_score/model/cuda_row_operations.h"

namespace prm_score {
namespace {

void* nvrtc() {
  for (const char* name : {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so"}) {
    if (void* library = ::dlopen(name, RTLD_LAZY | RTLD_LOCAL)) return library;
  }
  return nullptr;
}

#define SKIP_WITHOUT_NVRTC() \
  if (nvrtc() == nullptr) GTEST_SKIP() << "no NVRTC"

TEST(CudaModuleTest, TheKernelsCompileForEveryArchitectureThatTheyAreFor) {
  SKIP_WITHOUT_NVRTC();
  for (const char* architecture : {"sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"}) {
    const std::string code = compile_cuda(nvrtc(), row_operations_source(), architecture);
    EXPECT_EQ(code.substr(0, 4), "\177ELF") << architecture;
    for (const char* name : {"add_and_normalise", "rotate", "gate", "merge"}) {
      EXPECT_NE(code.find(name), std::string::npos) << architecture << " " << name;
    }
  }
}

TEST(CudaModuleTest, AMistakeInTheSourceIsNamed) {
  SKIP_WITHOUT_NVRTC();
  try {
    static_cast<void>(compile_cuda(nvrtc(), "extern \"C\" __global__ void f() { unknown(); }\n", "sm_90"));
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("CUDA kernels for sm_90: "), std::string::npos) << message;
    EXPECT_NE(message.find("unknown"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(CudaModuleTest, AnUnknownArchitectureIsAnError) {
  SKIP_WITHOUT_NVRTC();
  EXPECT_THROW(static_cast<void>(compile_cuda(nvrtc(), row_operations_source(), "sm_1")), Error);
}

}  // namespace
}  // namespace prm_score
