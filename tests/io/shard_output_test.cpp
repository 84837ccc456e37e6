#include "prm_score/io/shard_output.h"

#include <filesystem>
#include <string>
#include <vector>

#include "shard_builder.h"
#include <gtest/gtest.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr Shard kSecondOfThree = {.number = 1, .num_shards = 3};

class ShardOutputTest : public testing::Test {
 protected:
  ShardOutputTest() { builder_.make(kSecondOfThree, {}); }

  // What opening "out.1" and reading all of it says; empty if nothing.
  [[nodiscard]] std::string error() const {
    try {
      const ShardOutput output = open_shard_output(path_);
      ShardRowReader reader(output);
      while (reader.next()) {
      }
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  ShardBuilder builder_{{"xx x", "", "b", "  xxxxx"}};
  std::string path_ = builder_.path("out.1");
};

TEST_F(ShardOutputTest, ARowsLineIsCountedOverAllFiles) {
  const ShardOutput output = open_shard_output(path_);
  EXPECT_EQ(output.shard.number, 1);
  EXPECT_EQ(output.shard.num_shards, 3);
  ShardRowReader reader(output);
  std::vector<int64_t> indexes;
  std::string rows;
  while (const auto row = reader.next()) {
    indexes.push_back(row->line_index);
    rows += row->bytes;
  }
  EXPECT_EQ(indexes, (std::vector<int64_t>{1, 4, 7, 10}));
  EXPECT_EQ(rows, builder_.rows(kSecondOfThree));
}

TEST_F(ShardOutputTest, WhatIsNotCompleteIsRefused) {
  std::filesystem::rename(path_, path_ + ".partial");
  EXPECT_EQ(error(), path_ + ": expected a complete output, found " + path_ +
                         ".partial: its run has not come to its end (--resume goes on with it)");
  std::filesystem::remove(path_ + ".partial");
  EXPECT_EQ(error(), path_ + ": expected the output of a shard, found no such file");
  builder_.make(kSecondOfThree, {});
  builder_.edit("out.1.state", "\"exit_code\": 3", "\"exit_code\": null");
  EXPECT_NE(error().find("found that of one whose rows are missing"), std::string::npos);
  std::filesystem::remove(path_ + ".state");
  EXPECT_EQ(error(), path_ + ".state: expected the state of the run that wrote " + path_ + ", found no such file");
}

TEST_F(ShardOutputTest, WhatIsNoShardIsRefused) {
  builder_.edit("out.1.state", "\"shard\": 1,", "");
  EXPECT_EQ(error(), path_ + ": expected the output of a run with --shard, found one of a run without");
  builder_.make(kSecondOfThree, {});
  builder_.edit("out.1.state", "\"--num-shards\": 3", "\"Num-shards\": 3");
  EXPECT_EQ(error(), path_ + ": expected the output of a run with --shard, found one of a run without");
  builder_.make(kSecondOfThree, {});
  builder_.edit("out.1.state", "\"--num-shards\": 3", "\"--num-shards\": 1");
  EXPECT_EQ(error(), path_ + ".state: expected a shard of --num-shards, from 0, found 1 of 1");
  builder_.edit("out.1.state", "\"--num-shards\": 1", "\"--num-shards\": \"many\"");
  EXPECT_NE(error().find("found 1 of \"many\""), std::string::npos);
  builder_.write("out.1.state", "{}");
  EXPECT_NE(error().find("out.1.state: expected the state of a run"), std::string::npos);
}

TEST_F(ShardOutputTest, CountsThatDoNotAgreeAreRefused) {
  builder_.edit("out.1.state", "\"scored_rows\": 3", "\"scored_rows\": 2");
  EXPECT_EQ(error(), path_ + ".state: expected 3 rows of 12 lines, as it counts, found 4 of 12 in its input");
  builder_.make(kSecondOfThree, {});
  builder_.edit("out.1.state", "\"lines\": 12", "\"lines\": 13");
  EXPECT_NE(error().find("of 13 lines, as it counts"), std::string::npos);
  builder_.make(kSecondOfThree, {});
  builder_.edit("out.1.state", "\"rows\": 0", "\"rows\": 1");  // of the file without lines
  EXPECT_EQ(error(), path_ + ".state: input: expected as many rows as lines at most, found 1 and 0");
}

TEST_F(ShardOutputTest, AFileThatHasChangedIsRefused) {
  const std::string rows = builder_.read("out.1");
  builder_.write("out.1", rows.substr(0, rows.size() - 1));
  EXPECT_EQ(error(), path_ + ": expected " + std::to_string(rows.size()) + " bytes, as were written, found " +
                         std::to_string(rows.size() - 1));
  std::string torn = rows;
  torn.back() = ' ';
  builder_.write("out.1", torn);
  EXPECT_EQ(error(), path_ + ": row 4: expected a line feed behind it, found the end of the file");
  builder_.write("out.1", rows);
  builder_.edit("out.1", "\"id\":2", "\"id\":7");
  EXPECT_NE(error().find(path_ + ": expected the rows that were written, found others: SHA-256 "), std::string::npos);
}

TEST_F(ShardOutputTest, RowsOfOtherLinesAreRefused) {
  builder_.edit("out.1", "\"line\":2", "\"line\":1");
  EXPECT_EQ(error(), path_ + ": row 1: expected a row of shard 1 of 3, behind the row before it, found line 1");
  builder_.edit("out.1", "\"line\":1", "\"Line\":1");
  EXPECT_EQ(error(), path_ + ": row 1: expected a row of shard 1 of 3, behind the row before it, found something else");
  builder_.edit("out.1", "\"Line\":1", "\"line\":5");  // the file has four, and 5 would be a line of the next one
  EXPECT_NE(error().find("found line 5"), std::string::npos);
}

TEST_F(ShardOutputTest, MoreOrFewerRowsThanCountedAreRefused) {
  std::string rows = builder_.read("out.1");
  std::string fewer = rows;
  fewer[fewer.rfind('\n', fewer.size() - 2)] = ' ';
  builder_.write("out.1", fewer);
  EXPECT_EQ(error(), path_ + ": expected 4 rows, as its state has, found 3");
  rows[rows.find(',')] = '\n';
  builder_.write("out.1", rows);
  EXPECT_NE(error().find(path_ + ": row 2: expected a row of shard 1 of 3"), std::string::npos);
}

}  // namespace
}  // namespace prm_score
