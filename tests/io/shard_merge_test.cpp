#include "prm_score/io/shard_merge.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "shard_builder.h"
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

std::string merged(const ShardMerge& merge) {
  std::string rows;
  merge.for_each_row([&](std::string_view row) {
    rows += row;
    return true;
  });
  return rows;
}

std::string error_of(const std::vector<std::string>& paths) {
  try {
    ShardMerge merge(paths);
    merge.check_rows();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ShardMerge, RestoresTheOrderOfTheInput) {
  std::mt19937 random(20);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> files(1 + random() % 4);
    for (auto& file : files) {
      for (size_t length = random() % 12; length > 0; --length) file += "xxb "[random() % 4];
    }
    const ShardBuilder builder(files);
    auto paths = builder.make_all(1 + random() % 7);
    std::ranges::shuffle(paths, random);
    ShardMerge merge(paths);
    merge.check_rows();
    ASSERT_EQ(merged(merge), builder.rows());
    const std::string rows = builder.rows();
    const size_t last = rows.empty() ? 0 : rows.rfind('\n', rows.size() - 2) + 1;  // npos + 1 = 0
    EXPECT_EQ(merge.state().progress.input_sha256, rows.empty() ? "" : "up to " + rows.substr(last));
    EXPECT_EQ(merge.state().progress.counts.num_lines, builder.num_lines());
    EXPECT_EQ(merge.state().progress.num_bytes, std::ssize(rows));
    EXPECT_EQ(merge.state().progress.num_rows(), std::ranges::count(rows, '\n'));
    EXPECT_EQ(merge.state().input.files, builder.summary({}).files);
  }
}

TEST(ShardMerge, EndsWhereItIsTold) {
  const ShardBuilder builder({"xxxx"});
  const ShardMerge merge(builder.make_all(2));
  int num_rows = 0;
  merge.for_each_row([&](std::string_view /*row*/) { return ++num_rows < 3; });
  EXPECT_EQ(num_rows, 3);
}

TEST(ShardMerge, TheStateIsThatOfARunWithoutShards) {
  const ShardBuilder builder({"xb"});
  const ShardMerge merge(builder.make_all(
      2, {.fingerprint = {{"dtype", "\"float32\""}}, .recorded = {{"cpu", "X"}}, .progress = {}, .exit_code = {}}));
  EXPECT_EQ(merge.state().fingerprint, (std::map<std::string, std::string>{{"dtype", "\"float32\""}}));
  EXPECT_EQ(merge.state().recorded, (std::map<std::string, std::string>{{"cpu", "X"}}));
  EXPECT_FALSE(merge.state().shard);
  EXPECT_EQ(merge.warning(), "");
}

TEST(ShardMerge, AllShardsHaveToBeThereOnce) {
  const ShardBuilder builder({"xxxxxx"});
  const auto paths = builder.make_all(4);
  EXPECT_EQ(error_of({paths[3], paths[0]}), "expected all 4 shards, found 2: missing: 1, 2");
  EXPECT_EQ(error_of({paths[0], paths[1], paths[2]}), "expected all 4 shards, found 3: missing: 3");
  EXPECT_EQ(error_of({paths[0], paths[1], paths[2], paths[1]}),
            paths[1] + " and " + paths[1] + ": expected each shard once, found both to be shard 1 of 4");
  const auto one_of_many = builder.make({.number = 5, .num_shards = 1'000'000'000}, {});
  EXPECT_EQ(error_of({one_of_many}),
            "expected all 1000000000 shards, found 1: missing: 0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, "
            "17, 18, 19, 20, ..");
}

TEST(ShardMerge, ShardsOfOtherRunsAreNamedWithWhatDiffers) {
  const ShardBuilder builder({"xxxx"});
  auto paths =
      builder.make_all(2, {.fingerprint = {{"dtype", "\"float32\""}}, .recorded = {}, .progress = {}, .exit_code = {}});
  paths[1] =
      builder.make({.number = 1, .num_shards = 2},
                   {.fingerprint = {{"dtype", "\"bfloat16\""}}, .recorded = {}, .progress = {}, .exit_code = {}});
  EXPECT_EQ(error_of(paths), paths[1] + ": expected a shard of the run of " + paths[0] +
                                 ", found another: dtype: \"float32\" in " + paths[0] + ", \"bfloat16\" in " +
                                 paths[1]);
  paths = builder.make_all(2);
  paths[1] = builder.make({.number = 1, .num_shards = 3}, {});
  EXPECT_NE(error_of(paths).find("found another: --num-shards: 2 in "), std::string::npos);
}

TEST(ShardMerge, ShardsOfOtherInputsAreRefused) {
  const ShardBuilder builder({"xxxx"});
  const auto paths = builder.make_all(2);
  builder.edit("out.1.state", "\"sha256\": \"xxxx\"", "\"sha256\": \"yyyy\"");
  EXPECT_EQ(error_of(paths), paths[1] + ": expected the input of " + paths[0] +
                                 ", found another: 4 lines, SHA-256 xxxx in " + paths[0] +
                                 ", 4 lines, SHA-256 yyyy in " + paths[1]);
}

TEST(ShardMerge, OtherMachinesAreTold) {
  const ShardBuilder builder({"xxxx"});
  auto paths = builder.make_all(3, {.fingerprint = {}, .recorded = {{"cpu", "X"}}, .progress = {}, .exit_code = {}});
  paths[2] = builder.make({.number = 2, .num_shards = 3},
                          {.fingerprint = {}, .recorded = {{"cpu", "Y"}}, .progress = {}, .exit_code = {}});
  EXPECT_EQ(ShardMerge(paths).warning(),
            "the last digits of rewards may move: cpu: X in " + paths[0] + ", Y in " + paths[2]);
}

TEST(ShardMerge, AnotherMachineIsToldAlsoBehindAnotherNumberOfThreads) {
  const ShardBuilder builder({"xxxx"});
  const auto of = [](const char* cpu, const char* threads) {
    return RunState{.fingerprint = {},
                    .recorded = {{"cpu", cpu}, {"threads_per_replica", threads}},
                    .progress = {},
                    .exit_code = {}};
  };
  auto paths = builder.make_all(3, of("X", "1"));
  paths[1] = builder.make({.number = 1, .num_shards = 3}, of("X", "2"));
  EXPECT_EQ(ShardMerge(paths).warning(),
            "threads_per_replica: 1 in " + paths[0] + ", 2 in " + paths[1] + "; rewards do not depend on it");
  paths[2] = builder.make({.number = 2, .num_shards = 3}, of("Y", "1"));
  EXPECT_EQ(ShardMerge(paths).warning(),
            "the last digits of rewards may move: cpu: X in " + paths[0] + ", Y in " + paths[2]);
}

TEST(ShardMerge, ManyShardsAreOpenAtOnce) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  if (before.rlim_max < 400) GTEST_SKIP() << "no more than " << before.rlim_max << " files may be open here";
  const rlimit few = {.rlim_cur = 64, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const ShardBuilder builder({std::string(400, 'x')});
  EXPECT_EQ(merged(ShardMerge(builder.make_all(200))), builder.rows());
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace prm_score
