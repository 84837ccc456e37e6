// rows_origin.h - which judge gave the rows of files, as the state beside each says.
#pragma once

#include <string>
#include <vector>

namespace prm_score {

struct RowsOrigin {
  // Without repetitions: "model.safetensors 658563517e22, float32, prm-score 0.1.0", and behind it "(a.jsonl, b.jsonl)"
  // where not all files are known to be its.
  std::vector<std::string> judges;
  // Why rewards of these files cannot be compared: "dtype: .. in a.jsonl, .. in b.jsonl", of the first file that
  // differs; empty if nothing says so.
  std::string difference;
};

// `files`: names of rows, "-" among them. A file without a state (of --output, or in the metadata of check --update),
// or with one that cannot be read or is that of other rows, says nothing.
[[nodiscard]] RowsOrigin origin_of_rows(const std::vector<std::string>& files);

}  // namespace prm_score
