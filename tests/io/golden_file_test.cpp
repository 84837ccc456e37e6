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
#include "prm_score/io/row_reader.h"

namespace prm_score {
namespace {

constexpr char kGood[] =
    R"({"line":3,"file":"a.jsonl","id": 12345678901234567890123,"input":{"k": 1.0},"reward":-0.25,"num_tokens":70,)"
    R"("num_chunks":2,"log_odds":[null,0.1],"spans":[ {"tokens":[0,64],"chars":[0,9],"bytes":[0,9]},)"
    R"({"tokens":[64,70],"chars":[9,12],"bytes":[9,13]}],"warnings":[ "context_cut"],"ids_sha256":"3f","later":{}})";

TEST(GoldenRowTest, IsWhatTheRowSays) {
  const RewardRow parsed = parse_reward_row(kGood);
  const GoldenRow row = golden_row(parsed.origin, parsed.reward);
  EXPECT_EQ(row.line, 3);
  EXPECT_EQ(row.file, "a.jsonl");
  EXPECT_EQ(row.id_json, "12345678901234567890123");
  EXPECT_EQ(row.input_json, "{\"k\": 1.0}");
  EXPECT_EQ(row.reward, -0.25);
  EXPECT_EQ(row.num_tokens, 70);
  EXPECT_EQ(row.num_chunks, 2);
  EXPECT_EQ(row.log_odds, (std::vector<std::optional<double>>{std::nullopt, 0.1}));  // the digits, not the float's
  EXPECT_EQ(row.spans_json,
            R"([{"tokens":[0,64],"chars":[0,9],"bytes":[0,9]},{"tokens":[64,70],"chars":[9,12],"bytes":[9,13]}])");
  EXPECT_EQ(row.warnings_json, "[\"context_cut\"]");
  EXPECT_EQ(row.ids_sha256, "3f");
  EXPECT_EQ(row.error, "");
}

TEST(GoldenRowTest, ABadRowHasItsErrorAlone) {
  DocumentReward reward;
  reward.error = "text: no\ntokens";
  reward.num_tokens = 7;
  const GoldenRow bad = golden_row({}, reward);
  EXPECT_EQ(bad.error, reward.error);
  EXPECT_FALSE(bad.reward);
  EXPECT_EQ(bad.num_tokens, 0);
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
    EXPECT_EQ(error.what(), golden() + ": line 3: expected a row of prm-score: line: missing field \"line\"");
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
