// rows_origin.h - which judge gave the rows of files, as the state beside each says.
#pragma once

#include <string>
#include <vector>

namespace prm_score {

struct RowsOrigin {
  // One for each file that has a state, without repetitions: "model.safetensors 658563517e22, float32, prm-score 0.1.0".
  std::vector<std::string> judges;
  // Why rewards of these files cannot be compared: "a.jsonl, b.jsonl: dtype: ..", of the first that differs; empty if
  // nothing says so.
  std::string difference;
};

// `files`: names of rows, "-" among them. A file without a state, or with one that cannot be read, says nothing.
[[nodiscard]] RowsOrigin origin_of_rows(const std::vector<std::string>& files);

}  // namespace prm_score
