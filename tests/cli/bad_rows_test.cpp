#include "prm_score/cli/bad_rows.h"

#include <initializer_list>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

std::string hint(const Options& options, std::initializer_list<const char*> errors, bool begins_as_array = false) {
  BadRows rows(options);
  for (const char* error : errors) rows.add(error);
  return rows.hint(begins_as_array);
}

constexpr char kLong[] = "line: longer than 10 bytes";
constexpr char kNoText[] = "text: missing field \"text\"";

TEST(BadRowsTest, WhatMostErrorsAreIsToldOf) {
  Options options;
  options.max_line_bytes = 10;
  const std::string of_text = hint(options, {kNoText}), of_length = hint(options, {kLong});
  EXPECT_EQ(of_text.find("expected documents with the field \"text\" (--text-field)"), 0u);
  EXPECT_EQ(of_length, "lines are longer than 10 bytes (--max-line-bytes)");
  EXPECT_EQ(hint(options, {kLong, kNoText, kNoText}), of_text);
  EXPECT_EQ(hint(options, {kLong, kNoText, kLong}), of_length);
}

TEST(BadRowsTest, NothingIsSaidOfNoErrors) { EXPECT_EQ(hint(Options(), {}), ""); }

TEST(BadRowsTest, TheMissingFieldIsNamed) {
  Options options;
  options.fields = {.text = "body", .context = "question"};
  EXPECT_NE(hint(options, {"body: missing field \"body\""}).find("\"body\" (--text-field)"), std::string::npos);
  const std::string of_context = hint(options, {"question: missing field \"question\""});
  EXPECT_EQ(of_context.find("expected the field \"question\" (--context-field) in every line"), 0u);
  options.command = Command::kPairs;
  for (const char* error :
       {"chosen: missing field \"chosen\"", "rejected: missing field \"rejected\"; it looks like"}) {
    EXPECT_EQ(hint(options, {error}).find("expected pairs with the fields \"chosen\" and \"rejected\""), 0u);
  }
  EXPECT_EQ(hint(options, {"question: missing field \"question\""}), of_context);
}

TEST(BadRowsTest, TheOptionThatLeavesChunksOutIsNamed) {
  Options options;
  options.prompt.last_chunk = LastChunk::kDrop;
  const auto hint_of = [&](const char* error) { return hint(options, {error}); };
  const std::string begin = "no text has more chunks than are left out by ";
  EXPECT_EQ(hint_of("text: no chunk left to score of 1"), begin + "--last-chunk drop");
  options.prompt.first_chunk = FirstChunk::kSkip;
  EXPECT_EQ(hint_of("chosen: no chunk left to score of 1"), begin + "--first-chunk skip and --last-chunk drop");
  options.prompt.last_chunk = LastChunk::kWeight;
  EXPECT_EQ(hint_of("rejected: no chunk left to score of 1"), begin + "--first-chunk skip");
}

TEST(BadRowsTest, AnArrayOfJsonIsTakenApartByJq) {
  for (const char* error : {"not JSON: unexpected end of input at byte 2", "line: expected an object, got an array"}) {
    EXPECT_NE(hint(Options(), {error}, true).find("jq -c '.[]'"), std::string::npos);
    EXPECT_EQ(hint(Options(), {error}, false), "expected JSON lines, an object each");
  }
  EXPECT_EQ(hint(Options(), {kNoText}, true).find("jq"), std::string::npos);
}

TEST(BadRowsTest, OtherErrorsAreGivenAsTheyAre) {
  EXPECT_EQ(hint(Options(), {"text: no tokens", "text: something else"}), "the first error is: text: no tokens");
  EXPECT_EQ(hint(Options(), {"texts: missing field \"texts\""}), "the first error is: texts: missing field \"texts\"");
}

}  // namespace
}  // namespace prm_score
