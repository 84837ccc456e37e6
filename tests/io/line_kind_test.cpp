#include "prm_score/io/line_kind.h"

#include <gtest/gtest.h>

#include "prm_score/io/row.h"

namespace prm_score {
namespace {

LineKind kind_of(std::string_view line) { return kind_of_line(parse_json_line(line, {.keys = {}, .all = true})); }

TEST(LineKindTest, RowsAreKnownByWhatThisProgramWrites) {
  DocumentReward reward;
  reward.reward = 1;
  RowOrigin origin;
  origin.line = 1;
  origin.input_json = R"({"text":"t","chosen":"a","rejected":"b"})";
  EXPECT_EQ(kind_of(format_row(origin, reward)), LineKind::kRow);
  EXPECT_EQ(kind_of(format_error_row({origin, "x"})), LineKind::kRow);
  EXPECT_EQ(kind_of(format_pair_row(origin, {})), LineKind::kPairRow);
  EXPECT_EQ(kind_of(R"({"line":1,"chunk":0,"start":0,"end":1,"prompt":"x","input_ids":[1]})"), LineKind::kPromptRow);
}

TEST(LineKindTest, InputsAreKnownByTheirUsualFields) {
  EXPECT_EQ(kind_of(R"({"text":"a"})"), LineKind::kDocument);
  EXPECT_EQ(kind_of(R"({"text":"a","line":7,"reward":1})"), LineKind::kDocument);
  EXPECT_EQ(kind_of(R"({"chosen":[],"rejected":"b","prompt":""})"), LineKind::kPair);
  for (const char* line : {"", "{", "[1]", "{}", R"({"text":1})", R"({"chosen":"a"})", R"({"line":1,"reward":1})",
                           R"({"line":1,"prompt":"x"})"}) {
    EXPECT_EQ(kind_of(line), LineKind::kUnknown) << line;
  }
}

TEST(LineKindTest, AnotherKindIsToldWithItsCommand) {
  constexpr std::string_view kPair = R"({"chosen":"a","rejected":"b"})";
  EXPECT_EQ(looks_like_another_kind(kPair, LineKind::kDocument),
            "; it looks like a preference pair, which prm-score pairs scores");
  EXPECT_EQ(looks_like_another_kind(kPair, LineKind::kPair), "");
  EXPECT_EQ(looks_like_another_kind("{}", LineKind::kDocument), "");
}

}  // namespace
}  // namespace prm_score
