#include "prm_score/io/output_file.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "prm_score/error.h"
#include "prm_score/text/sha256.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

class OutputFileTest : public testing::Test {
 protected:
  OutputFileTest() { fs::create_directory(folder_); }
  ~OutputFileTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& suffix = "") const { return (folder_ / "rows").string() + suffix; }
  [[nodiscard]] std::string read(const std::string& suffix = "") const {
    std::ifstream in(path(suffix), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& suffix, const std::string& contents, std::ios::openmode mode = std::ios::trunc) const {
    std::ofstream(path(suffix), std::ios::binary | mode) << contents;
  }
  [[nodiscard]] static std::string row(int line) { return "{\"line\":" + std::to_string(line) + ",\"reward\":0.5}\n"; }
  [[nodiscard]] static RunCounts counts(int num_rows) {
    RunCounts counts;
    counts.num_lines = counts.num_scored_rows = num_rows;
    return counts;
  }

  // Rows 1 to `num_known`, all in the state, and those up to `num_there`, which the state does not know.
  void make_partial(int num_known, int num_there) const {
    OutputFile output(path(), IfThere::kRefuse, state_);
    output.begin(0, "");
    for (int line = 1; line <= num_known; ++line) output.write(row(line), counts(line), "hash" + std::to_string(line));
    output.close();
    for (int line = num_known + 1; line <= num_there; ++line) write(".partial", row(line), std::ios::app);
  }

  [[nodiscard]] std::string message_of(IfThere if_there) const {
    try {
      const OutputFile output(path(), if_there, state_);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_ = fs::temp_directory_path() / ("output_file_test." + std::to_string(getpid()));
  RunState state_{
      .fingerprint = {{"dtype", "\"float32\""}}, .recorded = {{"torch", "2.15.0"}}, .progress = {}, .exit_code = {}};
};

TEST_F(OutputFileTest, IsRenamedWhenWholeAndKeepsItsState) {
  OutputFile output(path(), IfThere::kRefuse, state_);
  output.begin(0, "");
  EXPECT_TRUE(fs::exists(path(".state")));
  output.write(row(1), counts(1), "hash");
  EXPECT_EQ(read(".partial"), row(1));
  EXPECT_FALSE(fs::exists(path()));
  output.finish(counts(1), 3);
  EXPECT_EQ(read(), row(1));
  EXPECT_FALSE(fs::exists(path(".partial")));

  OutputFile again(path(), IfThere::kResume, state_);
  ASSERT_TRUE(again.is_complete());
  EXPECT_EQ(again.complete(), 3);
  EXPECT_EQ(read(), row(1));
  EXPECT_EQ(again.answered().num_rows(), 1);
}

TEST_F(OutputFileTest, GoesOnAfterRowsThatTheStateDoesNotKnow) {
  make_partial(2, 4);
  write(".partial", "{\"line\":5,\"rew", std::ios::app);  // torn
  OutputFile output(path(), IfThere::kResume, state_);
  EXPECT_EQ(output.answered().num_rows(), 2);
  EXPECT_EQ(output.answered().input_sha256, "hash2");
  EXPECT_EQ(output.num_rows_there(), 4);
  output.begin(2, "hash2");
  EXPECT_EQ(read(".partial"), row(1) + row(2) + row(3) + row(4)) << "rows that are there stay";
  for (int line = 3; line <= 5; ++line) output.write(row(line), counts(line), "h");
  output.finish(counts(5), 0);
  EXPECT_EQ(read(), row(1) + row(2) + row(3) + row(4) + row(5));
}

TEST_F(OutputFileTest, TheStateOfACompleteOutputHasTheHashOfItsRowsAndTheInput) {
  make_partial(2, 4);
  EXPECT_EQ(parse_run_state(read(".state"), "state").rows_sha256, "");
  EXPECT_TRUE(parse_run_state(read(".state"), "state").input.files.empty());
  OutputFile output(path(), IfThere::kResume, state_);
  output.begin(2, "hash2");
  for (int line = 3; line <= 5; ++line) output.write(row(line), counts(line), "h");
  const InputSummary input = {.sha256 = "all", .files = {{.num_lines = 7, .num_rows = 5}, {.num_lines = 1}}};
  output.finish(counts(5), 0, input);
  const RunState state = parse_run_state(read(".state"), "state");
  EXPECT_EQ(state.rows_sha256, sha256_hex(read()));
  EXPECT_EQ(state.input.sha256, "all");
  EXPECT_EQ(state.input.files, input.files);
  EXPECT_FALSE(state.shard);
}

TEST_F(OutputFileTest, AnotherShardIsRefused) {
  state_.shard = 1;
  make_partial(1, 1);
  EXPECT_EQ(parse_run_state(read(".state"), "state").shard, 1);
  EXPECT_EQ(message_of(IfThere::kResume), "");
  state_.shard = 2;
  EXPECT_EQ(message_of(IfThere::kResume), path() + ": --resume: expected shard 1, which began it, got shard 2");
  state_.shard.reset();
  EXPECT_EQ(message_of(IfThere::kResume), path() + ": --resume: expected shard 1, which began it, got no shard");
}

TEST_F(OutputFileTest, RefusesAnotherRowInPlaceOfOneThatIsThere) {
  make_partial(1, 3);
  OutputFile output(path(), IfThere::kResume, state_);
  output.begin(1, "hash1");
  output.write(row(2), counts(2), "h");
  EXPECT_THROW(output.write(row(7), counts(3), "h"), Error);
  output.close();
  EXPECT_EQ(read(".partial"), row(1) + row(2) + row(3));
}

TEST_F(OutputFileTest, AnEarlierNameOfTheThreadsIsRead) {
  state_.recorded = {{"cpu", "X"}, {"threads", "3"}};
  make_partial(1, 1);
  const std::map<std::string, std::string> expected = {{"cpu", "X"}, {"threads_per_replica", "3"}};
  EXPECT_EQ(parse_run_state(read(".state"), "state").recorded, expected);
}

TEST(RecordedDifferences, SayWhatFollowsFromThem) {
  RunState there = {
      .fingerprint = {}, .recorded = {{"threads_per_replica", "1"}, {"cpu", "X"}}, .progress = {}, .exit_code = {}};
  RunState now = there;
  EXPECT_EQ(recorded_differences(there, now).warning(), "");
  now.recorded["threads_per_replica"] = "2";
  EXPECT_EQ(recorded_differences(there, now).warning(),
            "threads_per_replica: 1 there, 2 now; rewards do not depend on it");
  now.fingerprint["--no-prefix-sharing"] = "true";
  EXPECT_EQ(recorded_differences(there, now).warning(),
            "the last digits of rewards may move: threads_per_replica: 1 there, 2 now");
  now.fingerprint["--no-prefix-sharing"] = "false";
  now.recorded["cpu"] = "Y";
  EXPECT_EQ(recorded_differences(there, now).warning(),
            "the last digits of rewards may move: cpu: X there, Y now; threads_per_replica: 1 there, 2 now");
}

TEST_F(OutputFileTest, ReplacesRowsThatAnotherMachineWrote) {
  make_partial(1, 4);
  state_.recorded["torch"] = "2.11.0";
  OutputFile output(path(), IfThere::kResume, state_);
  EXPECT_NE(output.warning(), "");
  output.begin(1, "hash1");
  output.write(row(2), counts(2), "h");
  const std::string moved = "{\"line\":3,\"reward\":0.50001}\n";
  output.write(moved, counts(3), "h");
  EXPECT_EQ(read(".partial"), row(1) + row(2) + moved);
}

TEST_F(OutputFileTest, AnInputThatHasBecomeShorterIsRefusedAtTheEnd) {
  make_partial(1, 3);
  OutputFile output(path(), IfThere::kResume, state_);
  output.begin(1, "hash1");
  output.write(row(2), counts(2), "h");
  EXPECT_THROW(output.finish(counts(2), 0), Error);
  EXPECT_EQ(read(".partial"), row(1) + row(2) + row(3));
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(OutputFileTest, WhatAPowerCutLeavesIsDropped) {
  make_partial(1, 2);
  write(".partial", std::string(5, '\0') + "\n" + row(4), std::ios::app);
  OutputFile output(path(), IfThere::kResume, state_);
  EXPECT_EQ(output.num_rows_there(), 2);
  output.begin(1, "hash1");
  EXPECT_EQ(read(".partial"), row(1) + row(2));
}

TEST_F(OutputFileTest, NeverReplacesAFileThatAppearsMeanwhile) {
  OutputFile output(path(), IfThere::kRefuse, state_);
  output.begin(0, "");
  output.write(row(1), counts(1), "h");
  write("", "somebody else's");
  EXPECT_THROW(output.finish(counts(1), 0), Error);
  EXPECT_EQ(read(), "somebody else's");
  EXPECT_EQ(read(".partial"), row(1));
}

TEST_F(OutputFileTest, AStateThatIsNoneIsNotWrittenOver) {
  write(".state", "{\"text\":\"my documents\"}\n");
  EXPECT_NE(message_of(IfThere::kRefuse).find("rows.state: "), std::string::npos);
  EXPECT_EQ(read(".state"), "{\"text\":\"my documents\"}\n");
}

TEST_F(OutputFileTest, AStateWithAnEndThatNoRunHasIsRefused) {
  make_partial(1, 1);
  std::string state = read(".state");
  const auto place = state.find("\"exit_code\": null");
  ASSERT_NE(place, std::string::npos);
  write(".state", state.replace(place, 17, "\"exit_code\": 99"));
  EXPECT_NE(message_of(IfThere::kResume).find("exit_code: expected null, 0 or 3, got 99"), std::string::npos);
}

TEST_F(OutputFileTest, RowsReachTheDiskWhileMoreAreWritten) {
  constexpr int kNumRows = 2000;
  OutputFile output(path(), IfThere::kRefuse, state_, std::chrono::milliseconds(1));
  output.begin(0, "");
  std::string rows;
  for (int line = 1; line <= kNumRows; ++line) {
    output.write(row(line), counts(line), "hash" + std::to_string(line));
    rows += row(line);
    if (line % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const auto known = [&] { return parse_run_state(read(".state"), "state").progress; };
  for (int wait = 0; wait < 2000 && known().num_rows() < kNumRows; ++wait) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(known().num_rows(), kNumRows);  // before anybody asked for it
  EXPECT_EQ(known().input_sha256, "hash" + std::to_string(kNumRows));
  output.finish(counts(kNumRows), 0);
  EXPECT_EQ(read(), rows);
}

TEST_F(OutputFileTest, ALinkInPlaceOfAFileBesideIsNotFollowed) {
  fs::create_symlink(folder_ / "mine", path(".partial.new"));
  std::ofstream(folder_ / "mine") << "keep";
  OutputFile output(path(), IfThere::kRefuse, state_);
  EXPECT_THROW(output.begin(0, ""), Error);
  EXPECT_EQ(fs::file_size(folder_ / "mine"), 4u);
}

TEST_F(OutputFileTest, ABeginningThatFailsLeavesNothing) {
  fs::create_symlink("nowhere", path(".state.new"));
  OutputFile output(path(), IfThere::kRefuse, state_);
  EXPECT_THROW(output.begin(0, ""), Error);
  for (const char* suffix : {"", ".partial", ".partial.new", ".state"})
    EXPECT_FALSE(fs::exists(path(suffix))) << suffix;
}

TEST_F(OutputFileTest, WhatIsOverwrittenStaysUntilThereIsAnother) {
  write("", "old rows");
  fs::create_directory(path(".state"));  // in the way
  EXPECT_NE(message_of(IfThere::kOverwrite).find("rows.state: --output: expected the name of a regular file"),
            std::string::npos);
  EXPECT_EQ(read(), "old rows");
}

TEST_F(OutputFileTest, OneProcessAtATime) {
  make_partial(1, 1);
  const OutputFile first(path(), IfThere::kResume, state_);
  EXPECT_NE(message_of(IfThere::kResume).find("another process is writing it"), std::string::npos);
}

TEST_F(OutputFileTest, NamesWhatDiffers) {
  make_partial(1, 1);
  state_.fingerprint["dtype"] = "\"bfloat16\"";
  EXPECT_NE(message_of(IfThere::kResume).find("dtype: \"float32\" there, \"bfloat16\" now"), std::string::npos);
}

}  // namespace
}  // namespace prm_score
