#include "prm_score/model/precision.h"

#include "checkpoint_builder.h"
#include <gtest/gtest.h>

namespace prm_score {
namespace {

const c10::Device kGpu(c10::kCUDA, 0);

Precision parsed(std::string_view name, c10::Device device, Quantization stored = Quantization::kNone) {
  return parse_precision(name, device, stored);
}

TEST(PrecisionTest, AutoDependsOnTheDevice) {
  EXPECT_EQ(parsed("auto", c10::kCPU), Precision{.dtype = c10::kFloat});
  EXPECT_EQ(parsed("auto", kGpu), Precision{.dtype = c10::kBFloat16});
}

TEST(PrecisionTest, NamesThereAndBack) {
  EXPECT_EQ(parsed("int8", c10::kCPU), (Precision{.dtype = c10::kFloat, .quantization = Quantization::kInt8}));
  for (const char* name : {"float32", "bfloat16", "int8"}) {
    EXPECT_EQ(precision_name(parsed(name, c10::kCPU)), name);
  }
  for (const char* name : {"float32", "bfloat16"}) EXPECT_EQ(precision_name(parsed(name, kGpu)), name);
}

TEST(PrecisionTest, OfAQuantisedCheckpointItIsItsOwn) {
  for (const char* name : {"auto", "int8"}) {
    EXPECT_EQ(precision_name(parsed(name, c10::kCPU, Quantization::kInt8)), "int8");
  }
  for (const std::string name : {"float32", "bfloat16", "fp8"}) {
    EXPECT_EQ(error_of([&] { (void)parsed(name, c10::kCPU, Quantization::kInt8); }),
              "--dtype " + name +
                  ": expected auto or int8, as the checkpoint is quantised; the one that it was made of gives the same "
                  "rewards with --dtype int8");
  }
  EXPECT_EQ(error_of([] { (void)parsed("auto", kGpu, Quantization::kInt8); }),
            "the checkpoint is quantised to int8: expected --device cpu, got cuda:0");
}

TEST(PrecisionTest, RejectsOtherNamesAndWhatTheDeviceCannot) {
  EXPECT_EQ(error_of([] { (void)parsed("float16", c10::kCPU); }),
            "--dtype float16: expected auto, float32, bfloat16, int8 or fp8");
  EXPECT_EQ(error_of([] { (void)parsed("int8", kGpu); }),
            "--dtype int8: expected --device cpu, got cuda:0 (float32 and bfloat16 run there)");
  EXPECT_EQ(error_of([] { (void)parsed("fp8", c10::kCPU); }),
            "--dtype fp8: expected a GPU of compute capability 8.9 or newer, got cpu (int8 is for CPUs)");
}

}  // namespace
}  // namespace prm_score
