#include "prm_score/model/device.h"

#include "checkpoint_builder.h"
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

bool has_nvidia_driver() { return ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) != nullptr; }

std::string device_error(const char* name) {
  return error_of([&] { (void)parse_device(name); });
}

TEST(ParseDevice, Cpu) { EXPECT_TRUE(parse_device("cpu").is_cpu()); }

TEST(ParseDevice, RejectsOtherNames) {
  for (const char* name : {"", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999", "cudaa"}) {
    EXPECT_EQ(device_error(name), std::string("--device ") + name + ": expected auto, cpu, cuda or cuda:N");
  }
}

TEST(ParseDevice, SaysThatThereIsNoDriver) {
  if (has_nvidia_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_EQ(device_error("cuda"), "--device cuda: no NVIDIA driver found (libcuda.so.1)");
  EXPECT_EQ(device_error("cuda:1"), "--device cuda:1: no NVIDIA driver found (libcuda.so.1)");
}

TEST(ParseDevice, AutoIsTheCpuWithoutADriver) {
  if (has_nvidia_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_TRUE(parse_device("auto").is_cpu());
}

TEST(GpuName, IsUnknownWithoutADriver) {
  if (has_nvidia_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_EQ(gpu_model(0), "unknown");
  EXPECT_EQ(gpu_driver_version(), "unknown");
}

TEST(ParseDtype, AutoDependsOnTheDevice) {
  EXPECT_EQ(parse_dtype("auto", c10::kCPU), c10::kFloat);
  EXPECT_EQ(parse_dtype("auto", c10::Device(c10::kCUDA, 0)), c10::kBFloat16);
  EXPECT_EQ(parse_dtype("float32", c10::Device(c10::kCUDA, 0)), c10::kFloat);
  EXPECT_EQ(parse_dtype("bfloat16", c10::kCPU), c10::kBFloat16);
  EXPECT_EQ(dtype_name(c10::kBFloat16), "bfloat16");
  EXPECT_EQ(dtype_name(c10::kFloat), "float32");
}

TEST(ParseDtype, RejectsOtherNames) {
  EXPECT_EQ(error_of([] { (void)parse_dtype("float16", c10::kCPU); }),
            "--dtype float16: expected auto, float32 or bfloat16");
}

TEST(SetNumThreads, ZeroIsAllProcessors) {
  EXPECT_EQ(set_num_threads(2), 2);
  EXPECT_EQ(at::get_num_threads(), 2);
  EXPECT_GE(set_num_threads(0), 1);
  EXPECT_EQ(error_of([] { (void)set_num_threads(-1); }), "--threads -1: expected at least 0");
}

}  // namespace
}  // namespace prm_score
