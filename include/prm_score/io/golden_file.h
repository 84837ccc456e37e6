// golden_file.h - the golden of `prm-score check`: rows that were printed once, read back.
//
//   GOLDEN                the rows as row.h draws them, what `prm-score docs.jsonl > GOLDEN` writes; those of
//                         `check --update` have the hash of their ids, too
//   GOLDEN.metadata.json  what gave them (metadata.h, with `state`); may be missing
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "prm_score/io/run_state.h"
#include "prm_score/text/document.h"

namespace prm_score {

// What a row says, for comparison. Log-odds are the digits that are printed, not the float's; `id_json` and
// `input_json` are as they stand in it, `spans_json` and `warnings_json` as row.h prints them. Text that the row does
// not have is empty.
struct GoldenRow {
  int64_t line = 0;
  std::string file, id_json, input_json;
  std::optional<double> reward;
  int64_t num_tokens = 0, num_chunks = 0;
  std::vector<std::optional<double>> log_odds;  // [num_chunks]
  std::string spans_json, warnings_json, ids_sha256;
  std::string error;  // not empty: a bad row, which has no numbers
};

[[nodiscard]] GoldenRow golden_row(const RowOrigin& origin, const DocumentReward& reward);

// All rows of the file, in order, as RewardRowReader gives and refuses them. `stop_fd`: as in line_reader.h.
[[nodiscard]] std::vector<GoldenRow> read_golden(const std::string& path, int stop_fd = -1);

[[nodiscard]] std::string golden_metadata_name(const std::string& path);

// What the metadata beside the golden `path` says of the run that gave it; nullopt if there is no such file, or one of
// another command, which does not say. Throws Error if it cannot be read or is no metadata.
[[nodiscard]] std::optional<RunState> read_golden_state(const std::string& path);

}  // namespace prm_score
