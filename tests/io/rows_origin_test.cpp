#include "prm_score/io/rows_origin.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "prm_score/io/metadata.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/io/run_state.h"

namespace prm_score {
namespace {

class RowsOriginTest : public testing::Test {
 protected:
  RowsOriginTest() { std::filesystem::create_directories(folder_); }
  ~RowsOriginTest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& sha256, const std::string& dtype = "float32") {
    RunState state;
    state.fingerprint = {{"SHA-256 of model.safetensors", '"' + sha256 + '"'},
                         {"SHA-256 of config.json", "\"cc\""},
                         {"files", '"' + name + '"'},
                         {"dtype", '"' + dtype + '"'}};
    state.recorded = {{"prm_score", "0.1.0"}};
    state.progress.num_bytes = 3;
    state.exit_code = 0;
    std::ofstream(folder_ / name) << "{}\n";
    std::ofstream(folder_ / (name + ".state")) << format_run_state(state);
    return folder_ / name;
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("rows_origin_" + std::to_string(::getpid()));
};

TEST_F(RowsOriginTest, NamesTheJudgeOnce) {
  const RowsOrigin origin = origin_of_rows({write("a", "0123456789abcdef"), write("b", "0123456789abcdef")});
  EXPECT_EQ(origin.judges, std::vector<std::string>{"model.safetensors 0123456789ab, float32, prm-score 0.1.0"});
  EXPECT_EQ(origin.difference, "");
}

TEST_F(RowsOriginTest, TellsOfRowsThatCannotBeCompared) {
  const auto a = write("a", "01"), b = write("b", "02"), c = write("c", "01", "bfloat16");
  const RowsOrigin origin = origin_of_rows({a, b, c});
  ASSERT_EQ(origin.judges.size(), 3u);
  EXPECT_EQ(origin.judges[1], "model.safetensors 02, float32, prm-score 0.1.0 (" + b + ")");
  EXPECT_EQ(origin.difference, "SHA-256 of model.safetensors: \"01\" in " + a + ", \"02\" in " + b);
}

TEST_F(RowsOriginTest, SaysNothingWhereNothingIsKnown) {
  std::ofstream(folder_ / "bad.state") << "{}";
  const auto a = write("a", "01");
  const RowsOrigin origin = origin_of_rows({"-", folder_ / "none", folder_ / "bad", a});
  EXPECT_EQ(origin.judges, std::vector<std::string>{"model.safetensors 01, float32, prm-score 0.1.0 (" + a + ")"});
  EXPECT_EQ(origin.difference, "");
}

TEST_F(RowsOriginTest, AStateOfOtherRowsSaysNothing) {
  const auto a = write("a", "01");
  std::ofstream(a, std::ios::app) << "{}\n";
  EXPECT_EQ(origin_of_rows({a}).judges, std::vector<std::string>{});
}

TEST_F(RowsOriginTest, AGoldenHasItsStateInTheMetadata) {
  const auto a = write("a", "01");
  Metadata metadata;
  metadata.state_json = read_whole(a + ".state");
  std::ofstream(a + ".metadata.json") << format_metadata(metadata);
  std::filesystem::remove(a + ".state");
  EXPECT_EQ(origin_of_rows({a}).judges.size(), 1u);
}

}  // namespace
}  // namespace prm_score
