#include "prm_score/cli/nearest_name.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

const std::vector<std::string> kNames = {"THREADS", "CHUNK_SIZE", "ATOL", "RTOL", "MAX_BATCH_TOKENS"};

TEST(NearestName, TakesEveryKindOfEdit) {
  EXPECT_EQ(nearest_name("TREADS", kNames), "THREADS");
  EXPECT_EQ(nearest_name("THREADSS", kNames), "THREADS");
  EXPECT_EQ(nearest_name("THREATS", kNames), "THREADS");
  EXPECT_EQ(nearest_name("THERADS", kNames), "THREADS");
  EXPECT_EQ(nearest_name("ATLO", kNames), "ATOL");  // one edit only because neighbours may be swapped
  EXPECT_EQ(nearest_name("BATCH_TOKENS", kNames), "MAX_BATCH_TOKENS");
}

TEST(NearestName, OfEqualsIsTheFirst) { EXPECT_EQ(nearest_name("TOL", kNames), "ATOL"); }

TEST(NearestName, IsNoneIfNoneIsNear) {
  EXPECT_EQ(nearest_name("CHECK", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("X", kNames), std::nullopt);
  EXPECT_EQ(nearest_name("THREADS", {}), std::nullopt);
}

}  // namespace
}  // namespace prm_score
