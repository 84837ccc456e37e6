#include "prm_score/io/likely_causes.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

const std::string kDigest(64, 'a');

RunState run() {
  RunState state;
  state.fingerprint = {{"SHA-256 of model.safetensors", "\"" + kDigest + "\""},
                       {"SHA-256 of config.json", "\"" + kDigest + "\""},
                       {"SHA-256 of tokenizer.json", "\"" + kDigest + "\""},
                       {"SHA-256 of the template", "\"" + kDigest + "\""},
                       {"--chunk-size", "64"},
                       {"--keep", "[]"},
                       {"--no-prefix-sharing", "false"},
                       {"dtype", "\"float32\""}};
  state.recorded = {{"cpu", "X"}, {"torch", "2.11.0"}, {"threads_per_replica", "2"}};
  state.progress.input_sha256 = kDigest;
  return state;
}

RowComparison moved() {
  RowComparison comparison;
  comparison.num_moved = 1;
  comparison.num_ids_compared = 1;
  return comparison;
}

std::vector<std::string> causes(const RunState& now) { return likely_causes(moved(), run(), now); }

using Lines = std::vector<std::string>;

TEST(LikelyCauses, NothingMovedHasNone) {
  RunState now = run();
  now.fingerprint["dtype"] = "\"bfloat16\"";
  EXPECT_EQ(likely_causes({}, run(), now), Lines{});
}

TEST(LikelyCauses, EachNamesWhatDiffers) {
  const std::string other = "\"" + std::string(64, 'b') + "\"", hashes = ": aaaaaaaaaaaa.. there, bbbbbbbbbbbb.. now";
  RunState now = run();
  now.fingerprint["SHA-256 of model.safetensors"] = other;
  EXPECT_EQ(causes(now), Lines{"checkpoint: model.safetensors" + hashes});
  now = run();
  now.fingerprint["SHA-256 of the template"] = other;
  EXPECT_EQ(causes(now), Lines{"template" + hashes});
  now = run();
  now.fingerprint["--chunk-size"] = "32";
  EXPECT_EQ(causes(now), Lines{"options: --chunk-size: 64 there, 32 now"});
  now = run();
  now.fingerprint["dtype"] = "\"bfloat16\"";
  EXPECT_EQ(causes(now), Lines{"dtype: \"float32\" there, \"bfloat16\" now"});
  now = run();
  now.progress.input_sha256 = std::string(64, 'b');
  EXPECT_EQ(causes(now), Lines{"fixtures: SHA-256 of the lines" + hashes});
}

TEST(LikelyCauses, ATokenizerThatGivesTheSameIdsSaysSo) {
  RunState now = run();
  now.fingerprint.erase("SHA-256 of tokenizer.json");
  now.fingerprint["SHA-256 of tokenizer.model"] = "\"" + kDigest + "\"";
  auto comparison = moved();
  const std::string expected =
      "tokenizer: tokenizer.json: aaaaaaaaaaaa.. there, nothing now; tokenizer.model: nothing there, aaaaaaaaaaaa.. "
      "now";
  EXPECT_EQ(likely_causes(comparison, run(), now), Lines{expected + " (the texts' ids are the same)"});
  comparison.have_ids_moved = true;
  EXPECT_EQ(likely_causes(comparison, run(), now), Lines{expected});
}

TEST(LikelyCauses, SeveralAreAllNamed) {
  RunState now = run();
  now.fingerprint["SHA-256 of model.safetensors"] = "\"b\"";
  now.fingerprint["SHA-256 of config.json"] = "\"b\"";
  now.fingerprint["dtype"] = "\"bfloat16\"";
  now.recorded["cpu"] = "Y";
  const auto found = causes(now);
  ASSERT_EQ(found.size(), 2U);  // numerics need no explanation of their own then
  EXPECT_TRUE(found[0].starts_with("checkpoint: config.json: ")) << found[0];
  EXPECT_NE(found[0].find("; model.safetensors: "), std::string::npos) << found[0];
  EXPECT_TRUE(found[1].starts_with("dtype: ")) << found[1];
}

TEST(LikelyCauses, NumericsIfAllElseIsTheSame) {
  RunState now = run();
  now.recorded = {{"cpu", "Y"}, {"torch", "2.15.0"}, {"threads_per_replica", "3"}};
  EXPECT_EQ(causes(now), Lines{"numerics: same fixtures, checkpoint, tokenizer, template, options and dtype; "
                               "cpu: X there, Y now; torch: 2.11.0 there, 2.15.0 now"});
}

TEST(LikelyCauses, ThreadsCountWithoutPrefixSharingOnly) {
  RunState golden = run(), now = run();
  now.recorded["threads_per_replica"] = "3";
  EXPECT_TRUE(likely_causes(moved(), golden, now)[0].starts_with("unknown: nothing that was recorded differs"));
  golden.fingerprint["--no-prefix-sharing"] = now.fingerprint["--no-prefix-sharing"] = "true";
  EXPECT_NE(likely_causes(moved(), golden, now)[0].find("; threads_per_replica: 2 there, 3 now"), std::string::npos);
}

TEST(LikelyCauses, WhatRowsRepeatMovesNoNumber) {
  RunState now = run();
  now.fingerprint["--keep"] = "[\"k\"]";
  now.recorded["cpu"] = "Y";
  const auto found = causes(now);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0], "options of what rows repeat: --keep: [] there, [\"k\"] now");
  EXPECT_TRUE(found[1].starts_with("numerics: "));
}

TEST(LikelyCauses, FilesAreTheSameHoweverTheirPathsAreSpelt) {
  RunState golden = run(), now = run();
  golden.fingerprint["files"] = R"(["a.jsonl","./b.jsonl"])";
  now.fingerprint["files"] = R"(["/docs/a.jsonl","b.jsonl"])";
  now.recorded["cpu"] = "Y";
  EXPECT_TRUE(likely_causes(moved(), golden, now).at(0).starts_with("numerics: "));
  now.fingerprint["files"] = R"(["b.jsonl","a.jsonl"])";
  EXPECT_EQ(likely_causes(moved(), golden, now),
            Lines{R"(options: files: ["a.jsonl","b.jsonl"] there, ["b.jsonl","a.jsonl"] now)"});
}

TEST(LikelyCauses, WithoutMetadataTheIdsTellALittle) {
  auto comparison = moved();
  EXPECT_NE(likely_causes(comparison, std::nullopt, {})[0].find("the ids are the same"), std::string::npos);
  comparison.have_ids_moved = true;
  EXPECT_NE(likely_causes(comparison, std::nullopt, {})[0].find("texts or tokenizer"), std::string::npos);
  comparison = {};
  comparison.num_moved = 1;
  EXPECT_EQ(likely_causes(comparison, std::nullopt, {}),
            Lines{"unknown (the golden has no metadata of check --update)"});
}

}  // namespace
}  // namespace prm_score
