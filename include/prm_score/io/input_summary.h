// input_summary.h - what a run has read, as its state keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace prm_score {

// Of one file, in the order in which they are read.
struct InputFileSummary {
  int64_t num_lines = 0;  // physical ones, other shards' too
  int64_t num_rows = 0;   // lines that this run answers

  bool operator==(const InputFileSummary&) const = default;
};

struct InputSummary {
  std::string sha256;  // of all lines, see line_reader.h; empty unless asked for
  std::vector<InputFileSummary> files;
};

}  // namespace prm_score
