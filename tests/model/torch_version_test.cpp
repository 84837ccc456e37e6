#include "prm_score/model/torch_version.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(TorchVersion, IsWhatTheConfigurationSays) {
  EXPECT_EQ(torch_version_in("  - Build settings: BLAS_INFO=mkl, TORCH_VERSION=2.15.0, USE_CUDA=0, \n"), "2.15.0");
  EXPECT_EQ(torch_version_in("TORCH_VERSION=2.15.0a0\n"), "2.15.0a0");
  EXPECT_EQ(torch_version_in("USE_CUDA=0"), "unknown");
}

TEST(TorchVersion, OfTheMinorVersionEveryReleaseWillDo) {
  EXPECT_TRUE(is_same_minor_version("2.15.0", "2.15.1"));
  EXPECT_TRUE(is_same_minor_version("2.15.0", "2.15.0a0+git12"));
  EXPECT_FALSE(is_same_minor_version("2.15.0", "2.1.0"));
  EXPECT_FALSE(is_same_minor_version("2.15.0", "2.16.0"));
  EXPECT_FALSE(is_same_minor_version("2.15.0", "3.15.0"));
  EXPECT_FALSE(is_same_minor_version("2.15.0", "unknown"));
}

TEST(TorchVersion, OfTheOneThatRunsIsThatOfTheBuildHere) {
  EXPECT_EQ(torch_version(), torch_version_of_build());
  EXPECT_NO_THROW(expect_torch_of_build());
}

}  // namespace
}  // namespace prm_score
