#include "prm_score/io/row_reader.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "prm_score/error.h"
#include "prm_score/io/row.h"

namespace prm_score {
namespace {

std::string error_of(const std::string& line) {
  try {
    (void)parse_reward_row(line);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// A good row with `from` replaced.
std::string with(const std::string& from, const std::string& to) {
  std::string row = R"({"line":3,"file":"a","id":7,"input":{"x":1},"reward":1.5,"num_tokens":70,"num_chunks":2,)"
                    R"("log_odds":[1.5,null],"spans":[{"tokens":[0,64],"chars":[0,9],"bytes":[0,9]},)"
                    R"({"tokens":[64,70],"chars":[8,12],"bytes":[8,13]}],"warnings":["context_cut"]})";
  const size_t place = row.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return row.replace(place, from.size(), to);
}

TEST(ParseRewardRow, IsTheInverseOfFormatRow) {
  RewardRow row;
  row.origin.line = 12;
  row.origin.file = "docs \"1\".jsonl";
  row.origin.id_json = "12345678901234567890123";
  row.origin.input_json = R"({"a":{"b":[1]},"text":"x"})";
  row.reward.reward = -0.1;
  row.reward.num_tokens = 100;
  row.reward.num_chunks = 2;
  row.reward.log_odds = {0.1F, std::nullopt};
  row.reward.spans = {{0, 64, 0, 200, 0, 201}, {64, 100, 199, 250, 198, 260}};
  row.reward.ids_sha256 = "3f";
  row.reward.warnings = {.special_tokens = true, .template_markers = true, .context_cut = true};
  const std::string line = format_row(row.origin, row.reward);
  const RewardRow found = parse_reward_row(line);
  EXPECT_EQ(format_row(found.origin, found.reward), line);
  EXPECT_EQ(found.reward.log_odds, row.reward.log_odds);
  EXPECT_EQ(found.reward.spans[1].byte_end, 260);

  const std::string bad = format_error_row({row.origin, "text: missing field \"text\""});
  const RewardRow found_bad = parse_reward_row(bad);
  EXPECT_EQ(found_bad.reward.reward, std::nullopt);
  EXPECT_EQ(format_row(found_bad.origin, found_bad.reward), bad);
}

TEST(ParseRewardRow, NamesFieldExpectedAndFound) {
  EXPECT_EQ(error_of(with("x", "x")), "");
  EXPECT_EQ(error_of("[1]"), "expected an object, got an array");
  EXPECT_TRUE(error_of("{").starts_with("not JSON: "));
  EXPECT_EQ(error_of(R"({"text":"a document"})"),
            "got what looks like a document, which prm-score scores (report takes it by "
            "--docs, check as its FILES)");
  EXPECT_EQ(error_of(R"({"line":1,"reward_chosen":1,"reward_rejected":1})"),
            "got what looks like a row of prm-score pairs");
  EXPECT_EQ(error_of(R"({"line":1,"chunk":0,"prompt":"x","input_ids":[1]})"),
            "got what looks like a row of prm-score prompts");
  EXPECT_EQ(error_of("{}"), "line: missing field \"line\"");
  EXPECT_EQ(error_of(with("\"line\":3", "\"line\":-3")), "line: expected an integer >= 0, got -3");
  EXPECT_EQ(error_of(with("\"line\":3", "\"line\":99999999999999999999")), "line: expected an integer >= 0, got 1e+20");
  EXPECT_EQ(error_of(with("\"line\":3", "\"line\":1e999")), "line: expected an integer >= 0, got 1e999");
  EXPECT_EQ(error_of(with("\"line\":3", "\"line\":\"3\"")), "line: expected an integer >= 0, got a string");
  EXPECT_EQ(error_of(with("\"file\":\"a\"", "\"file\":1")), "file: expected a string, got a number");
  EXPECT_EQ(error_of(with("{\"x\":1}", "[1]")), "input: expected an object, got an array");
  EXPECT_EQ(error_of(with("1.5,\"num", "\"1.5\",\"num")), "reward: expected a number or null, got a string");
  EXPECT_EQ(error_of(with("1.5,\"num", "1e999,\"num")), "reward: expected a number of float32's range, got 1e999");
  EXPECT_EQ(error_of(with("1.5,\"num", "1e99,\"num")), "reward: expected a number of float32's range, got 1e99");
  EXPECT_EQ(error_of(with("1.5,\"num", "1.5,\"error\":\"x\",\"num")),
            "reward: expected null in a row with an error, got a number");
  EXPECT_EQ(error_of(with("1.5,\"num", "null,\"num")), "error: missing field \"error\"");
  EXPECT_EQ(error_of(with(":70", ":7.5")), "num_tokens: expected an integer >= 0, got 7.5");
  EXPECT_EQ(error_of(with("\"num_chunks\":2", "\"num_chunks\":3")), "log_odds: expected 3 numbers (num_chunks), got 2");
  EXPECT_EQ(error_of(with("[1.5,null]", "[1.5,\"x\"]")), "log_odds: expected numbers and null, got string");
  EXPECT_EQ(error_of(with("[1.5,null]", "{}")), "log_odds: expected an array, got an object");
  EXPECT_EQ(error_of(with("[1.5,null]", "[1e999,null]")), "log_odds: expected float32 numbers, got a larger one");
  EXPECT_EQ(error_of(with("[1.5,null]", "[1.5,1e60]")), "log_odds: expected float32 numbers, got a larger one");
  EXPECT_EQ(error_of(with("\"bytes\":[0,9]", "\"bytes\":[9,0]")),
            "spans.bytes: expected begin <= end, got begin > end");
  EXPECT_EQ(error_of(with("\"chars\":[8,12]", "\"chars\":[8]")),
            "spans.chars: expected [begin, end], got something else");
  EXPECT_EQ(error_of(with("\"bytes\":[8,13]", "\"bytes\":[8,8]")),
            "spans: expected bytes in order, got a chunk that begins or ends before the one before");
  EXPECT_EQ(error_of(with("context_cut", "new")),
            "warnings: expected special_tokens, template_markers or context_cut, got something else");
  EXPECT_EQ(error_of(with("[\"context_cut\"]", "{}")), "warnings: expected an array, got an object");
  EXPECT_EQ(error_of(with("[\"context_cut\"]", "[],\"ids_sha256\":0")), "ids_sha256: expected a string, got a number");
}

TEST(RewardRowReader, NamesFileAndLine) {
  const auto path = std::filesystem::temp_directory_path() / ("row_reader_test." + std::to_string(getpid()));
  std::ofstream(path) << with("x", "x") << "\n \n{\"line\":1}\n";
  RewardRowReader reader({.files = {path.string()}});
  ASSERT_TRUE(reader.next().has_value());
  try {
    (void)reader.next();
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), path.string() + ": line 3: expected a row of prm-score: reward: missing field \"reward\"");
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace prm_score
