#include "prm_score/model/precision.h"

#include "checkpoint_builder.h"
#include <gtest/gtest.h>

namespace prm_score {
namespace {

const c10::Device kGpu(c10::kCUDA, 0);

TEST(PrecisionTest, AutoDependsOnTheDevice) {
  EXPECT_EQ(parse_precision("auto", c10::kCPU), Precision{.dtype = c10::kFloat});
  EXPECT_EQ(parse_precision("auto", kGpu), Precision{.dtype = c10::kBFloat16});
}

TEST(PrecisionTest, NamesThereAndBack) {
  EXPECT_EQ(parse_precision("int8", c10::kCPU), (Precision{.dtype = c10::kFloat, .quantization = Quantization::kInt8}));
  for (const char* name : {"float32", "bfloat16", "int8"}) {
    EXPECT_EQ(precision_name(parse_precision(name, c10::kCPU)), name);
  }
  for (const char* name : {"float32", "bfloat16"}) EXPECT_EQ(precision_name(parse_precision(name, kGpu)), name);
}

TEST(PrecisionTest, RejectsOtherNamesAndWhatTheDeviceCannot) {
  EXPECT_EQ(error_of([] { (void)parse_precision("float16", c10::kCPU); }),
            "--dtype float16: expected auto, float32, bfloat16 or int8");
  EXPECT_EQ(error_of([] { (void)parse_precision("int8", kGpu); }),
            "--dtype int8: expected --device cpu, got cuda:0 (float32 and bfloat16 run there)");
}

}  // namespace
}  // namespace prm_score
