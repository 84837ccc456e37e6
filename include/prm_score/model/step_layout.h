// step_layout.h - a step as a few calls of variable-length attention, on whatever device.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "prm_score/model/step.h"

namespace prm_score {

// Neighbouring queries that see the same stretch of keys: rows [begin, end) of the queries, rows
// [first_key, first_key + num_keys) of the keys.
struct KeySpan {
  int64_t begin = 0, end = 0;
  int64_t first_key = 0, num_keys = 0;

  friend bool operator==(const KeySpan&, const KeySpan&) = default;
};

// The rows of a step in another order, the trunks' before the branches', and what each of them sees. "Trunk rows" are
// the step's trunks one behind another, each as long as its cache.
struct StepLayout {
  // Rows [row, row + num_rows) of the step move to the trunk's rows from `trunk_row` on.
  struct Extension {
    std::shared_ptr<TrunkCache> trunk;
    int64_t row = 0, trunk_row = 0, num_rows = 0;
  };

  std::vector<int32_t> input_ids;                   // of every row
  std::vector<int64_t> positions;                   // of every row
  int64_t num_trunk_rows = 0;                       // the first rows; the others are the branches'
  std::vector<std::shared_ptr<TrunkCache>> trunks;  // that the step reads or extends, each once
  std::vector<Extension> extensions;
  std::vector<KeySpan> tiles;        // queries: the step's trunk rows; keys: trunk rows, causal from the end
  std::vector<KeySpan> branches;     // queries and keys: the step's branch rows, causal; in the step's order
  std::vector<KeySpan> shared;       // queries: the step's branch rows; keys: trunk rows; none may be seen
  std::vector<int64_t> answer_rows;  // of every row: the last one of each branch
  int64_t total_trunk_size = 0;      // trunk rows

  [[nodiscard]] int64_t num_rows() const { return static_cast<int64_t>(input_ids.size()); }
};

[[nodiscard]] StepLayout make_step_layout(const Step& step);

}  // namespace prm_score
