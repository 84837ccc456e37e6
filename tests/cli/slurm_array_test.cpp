#include "prm_score/cli/slurm_array.h"

#include <map>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "prm_score/cli/options.h"

namespace prm_score {
namespace {

class SlurmArrayTest : public testing::Test {
 protected:
  void SetUp() override { clear(); }
  void TearDown() override { clear(); }

  static void clear() {
    for (const char* name : {"ID", "COUNT", "MIN", "MAX", "STEP"}) set(name, nullptr);
  }
  static void set(const std::string& name, const char* value) {
    const std::string variable = "SLURM_ARRAY_TASK_" + name;
    if (value == nullptr) {
      unsetenv(variable.c_str());
    } else {
      setenv(variable.c_str(), value, 1);
    }
  }

  // A task of an array of `count` tasks from `min` to `max`.
  static void set_task(const char* id, const char* count, const char* min, const char* max, const char* step) {
    set("ID", id);
    set("COUNT", count);
    set("MIN", min);
    set("MAX", max);
    set("STEP", step);
  }

  // "3 of 4", or the error.
  static std::string shard(const std::optional<int64_t>& num_shards = {}) {
    try {
      const Shard found = shard_of_slurm_task(num_shards);
      return std::to_string(found.number) + " of " + std::to_string(found.num_shards);
    } catch (const UsageError& error) {
      return error.what();
    }
  }
};

TEST_F(SlurmArrayTest, TasksAreCountedFromTheFirst) {
  set_task("3", "4", "0", "3", "1");
  EXPECT_EQ(shard(), "3 of 4");
  set_task("1", "4", "1", "4", "1");
  EXPECT_EQ(shard(), "0 of 4");
  set_task("8", "4", "2", "8", "2");
  EXPECT_EQ(shard(), "3 of 4");
  set("MAX", nullptr);
  EXPECT_EQ(shard(), "3 of 4");
}

TEST_F(SlurmArrayTest, ATaskThatIsSentAgainIsNotTheWholeInput) {
  set_task("3", "1", "3", "3", "1");
  EXPECT_EQ(shard(),
            "--shard auto: expected an array of several tasks, or --num-shards (for a task that is sent again: that of "
            "all tasks), got an array of one task, 3");
  EXPECT_EQ(shard(4), "3 of 4");
}

TEST_F(SlurmArrayTest, WithTheNumberOfShardsATaskIsItsShardWhateverTheArray) {
  set_task("2", "2", "2", "5", "3");
  EXPECT_EQ(shard(8), "2 of 8");
  clear();
  set("ID", "1");
  EXPECT_EQ(shard(2), "1 of 2");
}

TEST_F(SlurmArrayTest, TasksThatAreNotEquallyFarApartAreRefused) {
  set_task("0", "3", "0", "5", "1");  // --array=0,1,5
  EXPECT_EQ(shard(),
            "--shard auto: expected an array of tasks that are equally far apart, or --num-shards, got 3 tasks from 0 "
            "to 5 in steps of 1, of which this is 0");
  set_task("4", "3", "1", "5", "2");
  EXPECT_NE(shard().find("of which this is 4"), std::string::npos);
  set_task("7", "3", "1", "5", "2");
  EXPECT_NE(shard().find("of which this is 7"), std::string::npos);
}

TEST_F(SlurmArrayTest, OutsideOfAnArrayThereIsNoShard) {
  const char* expected = "--shard auto: expected a task of a Slurm array (SLURM_ARRAY_TASK_ID), got none";
  EXPECT_EQ(shard(), expected);
  EXPECT_EQ(shard(4), expected);
}

TEST_F(SlurmArrayTest, WhatIsNoNumberIsNamed) {
  set_task("x", "4", "0", "3", "1");
  EXPECT_EQ(shard(4), "--shard auto: expected SLURM_ARRAY_TASK_ID to be an integer >= 0, got \"x\"");
  set_task("1", "4", nullptr, "3", "1");
  EXPECT_EQ(shard(), "--shard auto: expected SLURM_ARRAY_TASK_MIN to be an integer >= 0, got none");
  set_task("1", "4", "0", "3", "0");
  EXPECT_EQ(shard(), "--shard auto: expected SLURM_ARRAY_TASK_STEP to be an integer >= 1, got \"0\"");
}

}  // namespace
}  // namespace prm_score
