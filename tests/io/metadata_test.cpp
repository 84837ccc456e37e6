#include "prm_score/io/metadata.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace prm_score {
namespace {

using Json = nlohmann::json;

TEST(FormatMetadata, HoldsWhatTheHeaderSays) {
  Metadata metadata;
  metadata.versions = {{"prm_score", "1"}, {"torch", "2"}};
  metadata.command_line = {"prm-score", "\xFF"};
  metadata.options = {{"chunk-size", "64"}, {"model", "null"}};
  metadata.checkpoint = CheckpointMetadata{.sha256 = {{"config.json", "cd"}},
                                           .folder = "/m",
                                           .random_weights = "",
                                           .model_type = "qwen2",
                                           .label_a = "A",
                                           .label_b = "B",
                                           .label_a_id = 32,
                                           .label_b_id = 33,
                                           .tokenizer_file = "tokenizer.json",
                                           .tokenizer_sha256 = "ab",
                                           .device = "cpu",
                                           .dtype = "float32",
                                           .num_replicas = 1,
                                           .threads = 2,
                                           .threads_per_replica = 2,
                                           .max_positions = 100,
                                           .max_context = 64,
                                           .max_batch_tokens = 2048,
                                           .prefix_sharing = false};
  metadata.template_sha256 = "cd";
  metadata.counts.num_lines = 9;
  metadata.elapsed_seconds = 1.5;
  metadata.exit_code = 3;
  metadata.host = {.cpu = "C",
                   .instruction_set = "AVX2",
                   .kernel = "K",
                   .os = "O",
                   .num_processors = 4,
                   .gpu_model = "G",
                   .gpu_driver = "D"};
  metadata.times = StageTimes{.load = 1,
                              .self_check = 2,
                              .scoring = 4,
                              .read = 5,
                              .tokenize = 6,
                              .model = 7,
                              .write = 8,
                              .num_forward_rows = 100};
  metadata.counts.num_chunks = 50;
  metadata.counts.num_tokens = 3000;
  metadata.counts.num_scored_rows = 10;
  metadata.counts_before.num_chunks = 10;
  metadata.counts_before.num_tokens = 2000;
  metadata.counts_before.num_scored_rows = 3;
  metadata.counts_before.num_bad_rows = 1;
  const auto expected = Json::parse(R"({
    "versions": {"prm_score": "1", "torch": "2"},
    "host": {"cpu": "C", "instruction_set": "AVX2", "processors": 4, "kernel": "K", "os": "O",
             "gpu": {"model": "G", "driver": "D"}}, "command_line": ["prm-score", "\ufffd"],
    "options": {"chunk-size": 64, "model": null},
    "checkpoint": {"folder": "/m", "random_weights": null, "model_type": "qwen2", "sha256": {"config.json": "cd"},
                   "labels": {"A": 32, "B": 33}},
    "tokenizer": {"file": "tokenizer.json", "sha256": "ab"}, "template": {"sha256": "cd"},
    "engine": {"device": "cpu", "dtype": "float32", "replicas": 1, "threads": 2, "threads_per_replica": 2,
               "max_positions": 100, "max_context": 64, "max_batch_tokens": 2048, "prefix_sharing": false},
    "counts": {"lines": 9, "scored_rows": 10, "bad_rows": 0, "tokens": 3000, "chunks": 50,
               "warnings": {"special_tokens": 0, "template_markers": 0, "context_cut": 0}},
    "elapsed_seconds": 1.5,
    "times": {"load_seconds": 1, "self_check_seconds": 2, "scoring_seconds": 4, "read_seconds": 5,
              "tokenize_seconds": 6, "model_seconds": 7, "write_seconds": 8},
    "throughput": {"resumed_rows": 4, "forward_rows": 100, "forward_rows_per_second": 25, "chunks_per_second": 10,
                   "tokens_per_second": 250}, "replica_failures": [], "stopped_by": null, "exit_code": 3})");
  EXPECT_EQ(Json::parse(format_metadata(metadata)), expected);
}

TEST(FormatMetadata, PartsStandInTheHeadersOrder) {
  const auto json = nlohmann::ordered_json::parse(format_metadata({}));
  std::vector<std::string> names;
  for (const auto& [name, value] : json.items()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"versions", "host", "command_line", "options", "checkpoint", "tokenizer",
                                             "template", "engine", "counts", "elapsed_seconds", "times", "throughput",
                                             "replica_failures", "stopped_by", "exit_code"}));
}

TEST(FormatMetadata, PairsAreCountedBySubset) {
  Metadata metadata;
  auto& pairs = metadata.pairs.emplace();
  pairs.add(0, "");
  pairs.add_bad("hard");
  const Json json = Json::parse(format_metadata(metadata)).at("pairs");
  EXPECT_EQ(json.at("accuracy"), 0.5);
  EXPECT_EQ(json.at("subsets"), Json::parse(R"({"hard": {"accuracy": null, "num_pairs": 0, "num_ties": 0, "num_bad": 1,
                                                        "confidence_interval": null}})"));
  EXPECT_EQ(json.at("num_bad"), 1);
}

TEST(FormatMetadata, SaysThatWeightsAreRandom) {
  Metadata metadata;
  metadata.checkpoint.emplace().random_weights = "/c/config.json";
  EXPECT_EQ(Json::parse(format_metadata(metadata))["checkpoint"]["random_weights"], "/c/config.json");
}

TEST(FormatMetadata, WithoutACheckpointItsPartsAreNull) {
  Metadata metadata;
  metadata.replica_failures = {"cuda:1: gone"};
  metadata.stopped_by = "SIGTERM";
  const auto json = Json::parse(format_metadata(metadata));
  for (const char* part : {"checkpoint", "tokenizer", "engine", "times", "throughput"})
    EXPECT_TRUE(json.at(part).is_null()) << part;
  EXPECT_EQ(json.at("replica_failures"), nlohmann::json::array({"cuda:1: gone"}));
  EXPECT_EQ(json.at("stopped_by"), "SIGTERM");
}

TEST(FormatMetadata, WithoutAScoringTimeRatesAreNull) {
  Metadata metadata;
  metadata.times.emplace();
  const auto throughput = Json::parse(format_metadata(metadata)).at("throughput");
  EXPECT_EQ(throughput.at("forward_rows"), 0);
  EXPECT_TRUE(throughput.at("chunks_per_second").is_null());
}

TEST(FormatMetadata, HoldsTheStateOfAGoldensRun) {
  EXPECT_FALSE(Json::parse(format_metadata({})).contains("state"));
  Metadata metadata;
  metadata.state_json = R"({"format":1})";
  EXPECT_EQ(Json::parse(format_metadata(metadata))["state"]["format"], 1);
}

TEST(RunCounts, ChunksAreThoseWithLogOdds) {
  RunCounts counts;
  DocumentReward reward;
  reward.num_tokens = 150;
  reward.num_chunks = 3;
  reward.log_odds = {std::nullopt, 0.5F, 0.25F};
  reward.warnings.context_cut = true;
  counts.add(reward);
  counts.add(reward);
  EXPECT_EQ(counts.num_tokens, 300);
  EXPECT_EQ(counts.num_chunks, 4);
  EXPECT_EQ(counts.num_context_cut, 2);
  EXPECT_EQ(counts.num_special_tokens, 0);
}

}  // namespace
}  // namespace prm_score
