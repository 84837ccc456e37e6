#include "prm_score/io/golden_file.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "prm_score/error.h"
#include "prm_score/io/row.h"

namespace prm_score {
namespace {

constexpr char kGood[] =
    R"({"line":3,"file":"a.jsonl","id": 12345678901234567890123,"input":{"k": 1.0},"reward":-0.25,"num_tokens":70,)"
    R"("num_chunks":2,"log_odds":[null,-0.25],"spans":[ {"tokens": [0,64]} ],"warnings":["context_cut"],)"
    R"("ids_sha256":"3f","later":{}})";

std::string error_of(const std::string& row) {
  try {
    static_cast<void>(parse_golden_row(row, "g: line 7"));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ParseGoldenRow, GivesWhatTheRowSays) {
  const GoldenRow row = parse_golden_row(kGood, "g");
  EXPECT_EQ(row.line, 3);
  EXPECT_EQ(row.file, "a.jsonl");
  EXPECT_EQ(row.id_json, "12345678901234567890123");
  EXPECT_EQ(row.input_json, "{\"k\": 1.0}");
  EXPECT_EQ(row.reward, -0.25);
  EXPECT_EQ(row.num_tokens, 70);
  EXPECT_EQ(row.log_odds, (std::vector<std::optional<double>>{std::nullopt, -0.25}));
  EXPECT_EQ(row.spans_json, "[{\"tokens\":[0,64]}]");
  EXPECT_EQ(row.warnings_json, "[\"context_cut\"]");
  EXPECT_EQ(row.ids_sha256, "3f");
  EXPECT_EQ(row.error, "");
}

TEST(ParseGoldenRow, TakesWhatTheProgramPrints) {
  RowOrigin origin;
  origin.line = 1;
  origin.id_json = "\"\\u0000<]]>\"";
  DocumentReward reward;
  reward.reward = 0.1;
  reward.num_chunks = 2;
  reward.log_odds = {0.1F, -0.0F};
  const GoldenRow good = parse_golden_row(format_row(origin, reward), "g");
  EXPECT_EQ(good.reward, 0.1);
  EXPECT_EQ(good.log_odds[0], 0.1);  // the digits that are printed, not the float's
  EXPECT_EQ(good.id_json, origin.id_json);
  const GoldenRow bad = parse_golden_row(format_error_row({origin, "text: no\ntokens"}), "g");
  EXPECT_EQ(bad.error, "text: no\ntokens");
  EXPECT_FALSE(bad.reward);
}

TEST(ParseGoldenRow, ErrorsNamePlaceFieldExpectedAndFound) {
  EXPECT_EQ(error_of(R"({"line":1,"reward":"x"})"), "g: line 7: reward: expected a number, got a string");
  EXPECT_EQ(error_of(R"([1])"), "g: line 7: line: expected an object, got an array");
  for (const auto& [row, words] : std::vector<std::pair<std::string, std::string>>{
           {"{", "not JSON"},
           {R"({"reward":1})", "line: expected a number, got none"},
           {R"({"line":-1,"reward":1})", "line: expected an integer >= 0, got -1"},
           {R"({"line":1.5,"reward":1})", "line: expected an integer >= 0, got 1.5"},
           {R"({"line":99999999999999999999,"reward":1})", "line: expected an integer >= 0"},
           {R"({"line":1})", "reward: expected a number, got none"},
           {R"({"line":1,"reward":null})", "reward: expected null just in a row with an error, got null"},
           {R"({"line":1,"reward":1,"error":"x"})", "reward: expected null just in a row with an error, got a number"},
           {R"({"line":1,"reward":null,"error":7})", "error: expected a string, got a number"},
           {R"({"line":1,"reward":1e999})", "reward: expected a number that a double holds, got 1e999"},
           {R"({"line":1,"reward":1})", "num_tokens: expected a number, got none"},
           {R"({"line":1,"reward":1,"num_tokens":1,"num_chunks":1})", "log_odds: expected an array, got none"},
           {R"({"line":1,"reward":1,"num_tokens":1,"num_chunks":1,"log_odds":{}})", "log_odds: expected an array"},
           {R"({"line":1,"reward":1,"num_tokens":1,"num_chunks":1,"log_odds":["1"]})", "expected numbers and null"},
           {R"({"line":1,"reward":1,"num_tokens":1,"num_chunks":1,"log_odds":[1e999]})", "numbers that a double holds"},
           {R"({"line":1,"reward":1,"num_tokens":1,"num_chunks":2,"log_odds":[1]})",
            "log_odds: expected 2 of them, as num_chunks says, got 1"},
           {R"({"line":1,"reward":1,"num_tokens":1,"num_chunks":1,"log_odds":[1],"spans":"x"})", "spans: expected an"},
           {R"({"line":1,"reward":1,"num_tokens":1,"num_chunks":1,"log_odds":[1],"ids_sha256":0})",
            "ids_sha256: exp"}}) {
    const std::string found = error_of(row);
    EXPECT_TRUE(found.starts_with("g: line 7: ")) << row << ": " << found;
    EXPECT_NE(found.find(words), std::string::npos) << row << ": " << found;
  }
}

class GoldenFileTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  [[nodiscard]] std::string golden() const { return (folder_ / "golden.jsonl").string(); }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("golden_file_test." + std::to_string(getpid()));
};

TEST_F(GoldenFileTest, RowsAreReadInOrder) {
  write("golden.jsonl", "\n" + std::string(kGood) + "\r\n {\"line\":4,\"reward\":null,\"error\":\"x\"}\n \n");
  const auto rows = read_golden(golden());
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].line, 3);
  EXPECT_EQ(rows[1].error, "x");
}

TEST_F(GoldenFileTest, ABadRowIsNamed) {
  write("golden.jsonl", "\n" + std::string(kGood) + "\n{}\n");
  try {
    static_cast<void>(read_golden(golden()));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), golden() + ": line 3: line: expected a number, got none");
  }
}

TEST_F(GoldenFileTest, TheStateIsThatOfTheMetadata) {
  EXPECT_FALSE(read_golden_state(golden()));  // no such file
  write("golden.jsonl.metadata.json", "{\"versions\":{}}");
  EXPECT_FALSE(read_golden_state(golden()));  // of another command
  RunState state;
  state.fingerprint = {{"dtype", "\"float32\""}};
  state.recorded = {{"cpu", "x"}};
  state.progress.input_sha256 = "9a";
  Metadata metadata;
  metadata.state_json = format_run_state(state);
  write("golden.jsonl.metadata.json", format_metadata(metadata));
  const auto read = read_golden_state(golden());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->fingerprint, state.fingerprint);
  EXPECT_EQ(read->recorded, state.recorded);
  EXPECT_EQ(read->progress.input_sha256, "9a");
}

TEST_F(GoldenFileTest, MetadataThatIsNoneIsAnError) {
  for (const char* text : {"", "{", "[]", "7", "{\"state\":7}", "{\"state\":{\"format\":2}}", "{\"state\":{}}"}) {
    write("golden.jsonl.metadata.json", text);
    try {
      static_cast<void>(read_golden_state(golden()));
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with(golden() + ".metadata.json: ")) << error.what();
    }
  }
  std::filesystem::remove(golden() + ".metadata.json");
  std::filesystem::create_directory(golden() + ".metadata.json");
  EXPECT_THROW(static_cast<void>(read_golden_state(golden())), Error);
}

}  // namespace
}  // namespace prm_score
