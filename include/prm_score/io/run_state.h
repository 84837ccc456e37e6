// run_state.h - what `F.state` says of the run that writes `F`, as one JSON object.
//
//   format       1
//   fingerprint  {"dtype": "float32", "option chunk-size": 64, "weights model.safetensors": "3f..", ..}: all that moves
//                a byte of the output; a run goes on only where all of it is the same
//   recorded     {"cpu": "..", "torch": "2.15.0", ..}: what may move the last digits of a reward; a difference is told
//   progress     as of the last row that is surely on the disk: {"bytes": 8192, "counts": {..as in the metadata..},
//                "input_sha256": "9a.."}; input_sha256: of the input lines up to that row's, see line_reader.h
//   exit_code    null while rows are missing; then what the run ended with, and a later --resume ends with
//   shard        0, 1, ..: of a run that answers every --num-shards-th line; absent if all lines are answered
//   rows_sha256  of the output, once it is complete
//   input        once the output is complete: {"sha256": "9a..", "files": [{"lines": 10, "rows": 4}, ..]}: of all lines
//                read, and per file; rows: those of this run
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "prm_score/io/input_summary.h"
#include "prm_score/io/metadata.h"

namespace prm_score {

struct RunProgress {
  int64_t num_bytes = 0;  // of the output
  RunCounts counts;
  std::string input_sha256;  // empty before the first row

  [[nodiscard]] int64_t num_rows() const { return counts.num_scored_rows + counts.num_bad_rows; }
};

struct RunState {
  std::map<std::string, std::string> fingerprint;  // values as JSON text
  std::map<std::string, std::string> recorded;     // values as they are
  RunProgress progress;
  std::optional<int> exit_code;
  std::optional<int64_t> shard = {};
  std::string rows_sha256 = {};  // empty while rows are missing
  InputSummary input = {};       // without files while rows are missing
};

[[nodiscard]] std::string format_run_state(const RunState& state);

// `{"fingerprint":{..},"recorded":{..}}`, as in the state, on one line.
[[nodiscard]] std::string format_fingerprint(const RunState& state);

// Throws Error that starts with `name` for anything that format_run_state() does not write.
[[nodiscard]] RunState parse_run_state(const std::string& json, const std::string& name);

// Where the values that are compared are.
struct ComparedPlaces {
  std::string there = "there";
  std::string now = "now";
};

// "chunk-size: 64 there, 32 now; ..": where the two differ, empty if nowhere.
[[nodiscard]] std::string differences(const std::map<std::string, std::string>& there,
                                      const std::map<std::string, std::string>& now, const ComparedPlaces& places = {});

// What differs of what two states recorded.
struct RecordedDifferences {
  std::string text;          // see differences()
  bool moves_digits = true;  // not the number of threads alone, unless with --no-prefix-sharing

  // For a warning: "the last digits of rewards may move: cpu: A there, B now"; empty if nothing differs.
  [[nodiscard]] std::string warning() const;
};

[[nodiscard]] RecordedDifferences recorded_differences(const RunState& there, const RunState& now,
                                                       const ComparedPlaces& places = {});

}  // namespace prm_score
