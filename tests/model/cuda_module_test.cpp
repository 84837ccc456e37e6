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
  for (const int capability : supported_capabilities(nvrtc())) {
    if (capability < 80) continue;
    const std::string architecture = architecture_for(capability, supported_capabilities(nvrtc()));
    EXPECT_EQ(architecture, "sm_" + std::to_string(capability));
    const std::string code = compile_cuda(nvrtc(), row_operations_source(), architecture);
    EXPECT_EQ(code.substr(0, 4), "\177ELF") << architecture;
    for (const char* name : {"add_rms_norm", "apply_rotary", "silu_and_mul", "merge_attention_states"}) {
      EXPECT_NE(code.find(name), std::string::npos) << architecture << " " << name;
    }
  }
}

TEST(CudaModuleTest, NewerGpusGetCodeThatTheyCanRun) {
  const std::vector<int> supported = {75, 80, 86, 89, 90};
  EXPECT_EQ(architecture_for(90, supported), "sm_90");
  EXPECT_EQ(architecture_for(87, supported), "sm_86");  // the same generation
  EXPECT_EQ(architecture_for(100, supported), "compute_90");
  EXPECT_EQ(architecture_for(121, supported), "compute_90");
}

TEST(CudaModuleTest, CodeForTheDriverIsText) {
  SKIP_WITHOUT_NVRTC();
  const std::string code = compile_cuda(nvrtc(), row_operations_source(), "compute_80");
  EXPECT_NE(code.find(".target sm_80"), std::string::npos) << code.substr(0, 300);
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
