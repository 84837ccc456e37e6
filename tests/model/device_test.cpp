#include "prm_score/model/device.h"

#include <thread>
#include <vector>

#include "checkpoint_builder.h"
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

bool has_nvidia_driver() { return ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) != nullptr; }

std::string device_error(const char* name) {
  return error_of([&] { (void)parse_devices(name); });
}

TEST(ParseDevice, Cpu) { EXPECT_TRUE(parse_devices("cpu").at(0).is_cpu()); }

TEST(ParseDevice, RejectsOtherNames) {
  for (const char* name : {"", "gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:99999999999", "cudaa",
                           "cpu,", ",cpu", "cpu,,cpu", "cpu, cpu", "cpu,auto", "cpu,cuda", "cpu,cuda:all"}) {
    EXPECT_EQ(device_error(name),
              std::string("--device ") + name +
                  ": expected auto, cpu, cuda, cuda:N, cuda:all, or several as cuda:0,cuda:1 or cpu,cpu");
  }
}

TEST(ParseDevice, SaysThatThereIsNoDriver) {
  if (has_nvidia_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_EQ(device_error("cuda"), "--device cuda: no NVIDIA driver found (libcuda.so.1)");
  EXPECT_EQ(device_error("cuda:1"), "--device cuda:1: no NVIDIA driver found (libcuda.so.1)");
  EXPECT_EQ(device_error("cuda:all"), "--device cuda:all: no NVIDIA driver found (libcuda.so.1)");
  EXPECT_EQ(device_error("cpu,cuda:1"), "--device cpu,cuda:1: no NVIDIA driver found (libcuda.so.1)");
}

TEST(ParseDevices, OneForEachName) {
  EXPECT_EQ(parse_devices("cpu,cpu,cpu"), (std::vector<c10::Device>(3, c10::Device(c10::kCPU))));
}

TEST(ParseDevice, AutoIsTheCpuWithoutADriver) {
  if (has_nvidia_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_TRUE(parse_devices("auto").at(0).is_cpu());
}

TEST(GpuName, IsUnknownWithoutADriver) {
  if (has_nvidia_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_EQ(gpu_model(0), "unknown");
  EXPECT_EQ(gpu_driver_version(), "unknown");
}

TEST(SplitThreads, EvenlyButAtLeastOneEach) {
  const auto per_replica = [](int64_t num_threads, int64_t num_replicas) {
    const NumThreads threads = split_threads(num_threads, num_replicas);
    EXPECT_EQ(threads.all, num_threads);
    return threads.per_replica;
  };
  EXPECT_EQ(per_replica(8, 1), 8);
  EXPECT_EQ(per_replica(8, 3), 2);
  EXPECT_EQ(per_replica(1, 4), 1);
  EXPECT_EQ(split_threads(0, 1).all, num_processors());
  EXPECT_EQ(error_of([] { (void)split_threads(-1, 1); }), "--threads -1: expected at least 0");
}

TEST(SetNumThreads, OfTheProcessOrOfAThread) {
  set_num_threads(2);
  EXPECT_EQ(at::get_num_threads(), 2);
  std::thread([] {
    set_own_num_threads(3);
    EXPECT_EQ(at::get_num_threads(), 3);
  }).join();
  EXPECT_EQ(at::get_num_threads(), 2);
  set_num_threads(num_processors());
}

}  // namespace
}  // namespace prm_score
