// metadata.h - what `--metadata FILE` says of a run, as one JSON object. data/metadata.schema.json describes it, too.
//
//   versions         {"prm_score": "0.1.0", "unicode": "16.0 (..)", "torch": "2.15.0"}
//   host             {"cpu": "AMD EPYC", "instruction_set": "AVX512", "processors": 2, "kernel": "Linux 6.1.0 x86_64",
//                     "os": "Debian GNU/Linux 12 (bookworm)", "gpu": null}; gpu: {"model": "NVIDIA H200", "driver":
//                    "580.159.04"} if one is used
//   command_line     ["prm-score", "docs.jsonl", ..]
//   options          {"chunk-size": 64, ..}      effective values of all options, wherever they come from
//   checkpoint       {"folder": "/..", "random_weights": null, "model_type": "qwen2", "labels": {"A": 32, "B": 33}};
//                    random_weights: the config.json that the weights were drawn for, the folder then gave the
//                    tokenizer only
//   tokenizer        {"file": "tokenizer.json", "sha256": ".."}
//   template         {"sha256": ".."}
//   engine           {"device": "cpu", "dtype": "float32", "replicas": 1, "threads": 2, "threads_per_replica": 2,
//                     "max_positions": 32768, "max_context": 32640, "max_batch_tokens": 2048, "prefix_sharing": true}
//   counts           {"lines": 9, "scored_rows": 7, "bad_rows": 1, "tokens": 2100, "chunks": 35,
//                     "warnings": {"special_tokens": 0, "template_markers": 0, "context_cut": 2}}
//   drift            of `prm-score check --against` only: {"against": "float32", "num_bad_rows": 0, "all": {..,
//                    "rank_correlation": 0.9998, ..}, "longer": of the documents of at least 4 chunks}
//   pairs            of `prm-score pairs` only: {"accuracy": 0.81, "num_pairs": 5, "num_ties": 0, "num_bad": 1,
//                    "confidence_interval": [0.37, 0.96], "subsets": {"chat": {..the same..}, ..}}; see pair_summary.h
//   state            of the metadata of a golden only: run_state.h's of the run that gave it
//   elapsed_seconds  3.25                        from the start of the program
//   times            {"load_seconds": 0.4, "self_check_seconds": 0.0, "scoring_seconds": 2.7, "read_seconds": 0.01,
//                     "tokenize_seconds": 0.2, "model_seconds": 2.6, "write_seconds": 0.02}; see text/stage_times.h
//   throughput       {"resumed_rows": 0, "forward_rows": 5200, "forward_rows_per_second": 1925.9, "chunks_per_second":
//                     13.0, "tokens_per_second": 777.8}: of `scoring_seconds`, without what an earlier run answered
//   replica_failures what replicas failed with, ["cuda:1: .."]: others took their documents over
//   stopped_by       null, a signal ("SIGTERM") or the message of what stopped the run
//   exit_code        0
//
// `checkpoint`, `tokenizer`, `engine`, `times` and `throughput` are null if the run stopped before the checkpoint was
// open. Lines: read, blank ones and other shards' too. Tokens: of the scored texts. Chunks: those
// with log-odds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "prm_score/io/pair_summary.h"
#include "prm_score/io/reward_drift.h"
#include "prm_score/text/document.h"
#include "prm_score/text/stage_times.h"

namespace prm_score {

struct RunCounts {
  int64_t num_lines = 0;
  int64_t num_scored_rows = 0;
  int64_t num_bad_rows = 0;
  int64_t num_tokens = 0;
  int64_t num_chunks = 0;
  int64_t num_special_tokens = 0, num_template_markers = 0, num_context_cut = 0;  // rows with this warning

  bool operator==(const RunCounts&) const = default;

  // Counts what is in a scored row; the rows themselves are counted where they are written.
  void add(const DocumentReward& reward);

  // The two parts of that, for a row of several documents.
  void add_chunks(const DocumentReward& reward);
  void add_warnings(const DocumentWarnings& warnings);
};

struct HostMetadata {
  std::string cpu, instruction_set, kernel, os;
  int num_processors = 0;                       // that this process may use
  std::string gpu_model = {}, gpu_driver = {};  // empty = no GPU is used
};

struct CheckpointMetadata {
  std::map<std::string, std::string> sha256;  // of its files, by name
  std::string folder;
  std::string random_weights;  // empty = none
  std::string model_type;
  std::string label_a, label_b;
  int64_t label_a_id = 0, label_b_id = 0;
  std::string tokenizer_file, tokenizer_sha256;
  std::string device, dtype;
  int num_replicas = 0, threads = 0, threads_per_replica = 0;
  int64_t max_positions = 0, max_context = 0, max_batch_tokens = 0;
  bool prefix_sharing = true;
};

struct Metadata {
  std::vector<std::pair<std::string, std::string>> versions;
  HostMetadata host;
  std::vector<std::string> command_line;
  std::vector<std::pair<std::string, std::string>> options;  // name, value as JSON text
  std::optional<CheckpointMetadata> checkpoint;
  std::string template_sha256;
  RunCounts counts;
  RunCounts counts_before;  // what an earlier run answered; part of `counts`
  std::optional<PairSummary> pairs;
  std::optional<DriftResult> drift;
  std::optional<StageTimes> times;
  std::string state_json;  // format_run_state(); empty if there is none
  double elapsed_seconds = 0;
  std::vector<std::string> replica_failures;
  std::string stopped_by;  // empty if nothing did
  int exit_code = 0;
};

// The counts as the one JSON object that the metadata has, and back. parse_counts throws nlohmann's exceptions.
[[nodiscard]] std::string format_counts(const RunCounts& counts);
[[nodiscard]] RunCounts parse_counts(const std::string& json);

// Indented, ends with LF. Invalid UTF-8 becomes U+FFFD.
[[nodiscard]] std::string format_metadata(const Metadata& metadata);

}  // namespace prm_score
