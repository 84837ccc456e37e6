#include "prm_score/cli/pipeline.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "prm_score/error.h"
#include "prm_score/io/row.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

// Runs the pipeline from a file to a file, with a judge that knows three texts: "bad", "fatal" and "stop".
class PipelineTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("pipeline_test." + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Answer answer(const Document& document, JsonlWriter& writer) {
    if (document.text == "fatal") throw Error("out of memory");
    if (document.text == "stop") {
      stop_ = true;
      return Answer::kStopped;
    }
    if (document.text == "last") stop_ = true;
    DocumentReward reward;
    reward.reward = 1;
    if (document.text == "bad") reward.error = "bad";
    writer.write(format_row(document.origin, reward));
    return reward.error.empty() ? Answer::kGood : Answer::kBad;
  }

  // One document per word; `?` is a line that is not JSON.
  RunEnd run(const std::vector<std::string>& words, std::optional<int64_t> max_errors = {}) {
    std::ofstream in(folder_ / "in");
    for (const auto& word : words) in << (word == "?" ? "?" : "{\"text\":\"" + word + "\"}") << "\n";
    in.close();
    JsonlReader reader({.lines = {.files = {(folder_ / "in").string()}}, .fields = {}});
    const int fd = open((folder_ / "out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    JsonlWriter writer(fd, "out");
    const auto end = run_pipeline(
        reader, [&](const Document& document, JsonlWriter& rows) { return answer(document, rows); }, writer,
        {max_errors, stop_}, counts_);
    close(fd);
    return end;
  }

  int64_t num_rows() const {
    std::ifstream out(folder_ / "out");
    const std::string text(std::istreambuf_iterator<char>(out), {});
    EXPECT_TRUE(text.empty() || text.back() == '\n') << "torn row";
    return std::count(text.begin(), text.end(), '\n');
  }

  fs::path folder_;
  RunCounts counts_;
  std::atomic<bool> stop_ = false;
};

TEST_F(PipelineTest, AnswersEveryLineOnceAndCounts) {
  EXPECT_EQ(run({"a", "?", "bad", "b"}), RunEnd::kInput);
  EXPECT_EQ(num_rows(), 4);
  EXPECT_EQ(counts_.num_lines, 4);
  EXPECT_EQ(counts_.num_scored_rows, 2);
  EXPECT_EQ(counts_.num_bad_rows, 2);
}

TEST_F(PipelineTest, MaxErrorsStopsAfterThatBadRowIsWritten) {
  EXPECT_EQ(run({"a", "?", "b", "bad", "c"}, /*max_errors=*/2), RunEnd::kMaxErrors);
  EXPECT_EQ(num_rows(), 4);
  counts_ = {};
  EXPECT_EQ(run({"a", "?", "b"}, /*max_errors=*/2), RunEnd::kInput);
  EXPECT_EQ(num_rows(), 3);
}

TEST_F(PipelineTest, AStopKeepsTheRowsSoFarAndGivesUpTheDocument) {
  EXPECT_EQ(run({"a", "b", "stop", "c"}), RunEnd::kStopped);
  EXPECT_EQ(num_rows(), 2);
  EXPECT_EQ(counts_.num_scored_rows, 2);
}

TEST_F(PipelineTest, AStopBetweenDocumentsReadsNoFurther) {
  EXPECT_EQ(run({"a", "last", "c"}), RunEnd::kStopped);
  EXPECT_EQ(num_rows(), 2);
}

TEST_F(PipelineTest, AnErrorLeavesRowsAndCountsRight) {
  EXPECT_THROW(run({"a", "?", "fatal", "c"}), Error);
  EXPECT_EQ(num_rows(), 2);
  EXPECT_EQ(counts_.num_lines, 3);
  EXPECT_EQ(counts_.num_scored_rows, 1);
  EXPECT_EQ(counts_.num_bad_rows, 1);
}

TEST(ExitCode, FollowsTheTable) {
  RunCounts good, bad;
  bad.num_bad_rows = 1;
  EXPECT_EQ(exit_code(RunEnd::kInput, good, /*errors_ok=*/false), 0);
  EXPECT_EQ(exit_code(RunEnd::kInput, bad, /*errors_ok=*/false), 3);
  EXPECT_EQ(exit_code(RunEnd::kInput, bad, /*errors_ok=*/true), 0);
  EXPECT_EQ(exit_code(RunEnd::kMaxErrors, bad, /*errors_ok=*/true), 1);
  EXPECT_EQ(exit_code(RunEnd::kMaxErrors, bad, /*errors_ok=*/false), 1);
}

}  // namespace
}  // namespace prm_score
