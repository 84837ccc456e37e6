#include "prm_score/cli/drift_report.h"

#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(DriftReportTest, HasAColumnForAllAndOneForLongerDocuments) {
  std::vector<RewardPair> documents;
  for (int i = 0; i < 3; ++i) {
    documents.push_back({.place = std::to_string(i + 1),
                         .id_json = "\"\x1b[0m\"",
                         .num_chunks = i == 0 ? 1 : 4,
                         .there = i * 10.0,
                         .now = i * 10.0 + i * 0.25});
  }
  DriftResult result = drift_result(documents);
  result.there = "float32";
  result.now = "int8";
  result.num_bad_rows = 2;
  EXPECT_EQ(format_drift_report(result),
            "int8 against float32: rewards of 3 documents (2 bad lines left out)\n"
            "                                        all   >= 4 chunks\n"
            "documents                                 3             2\n"
            "rank correlation                    1.00000       1.00000\n"
            "|difference|, mean             0.25 (3.1 %)  0.38 (7.5 %)\n"
            "|difference|, 99th percentile  0.49 (6.1 %)    0.5 (10 %)\n"
            "|difference|, largest           0.5 (6.1 %)    0.5 (10 %)\n"
            "standard deviation of rewards         8.165             5\n"
            "pairs that change their order  0 of 3 (0 %)  0 of 1 (0 %)\n"
            "largest: line 3, id \"\\x1b[0m\": 20 in float32, 20.5 in int8\n");
}

}  // namespace
}  // namespace prm_score
