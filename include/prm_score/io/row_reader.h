// row_reader.h - the rows that scoring has written, read again: the inverse of row.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "prm_score/io/jsonl_reader.h"
#include "prm_score/text/document.h"

namespace prm_score {

// A row: of `origin` file, line, id_json and input_json, of `reward` everything. Chunks that were skipped are nullopt.
struct RewardRow {
  RowOrigin origin;
  DocumentReward reward;
  size_t source = 0;  // which of the files that were read it stands in, from 0
};

// Throws Error if `line` is no row of scoring: the field, what was expected and what was found. Numbers of chunks,
// log-odds and spans agree in what is returned, and spans are in order. Fields that it does not know are passed over.
// Thread-safe.
[[nodiscard]] RewardRow parse_reward_row(std::string_view line);

// Rows of files, blank lines passed over. Not thread-safe.
class RewardRowReader {
 public:
  explicit RewardRowReader(LineReaderOptions options);

  // nullopt at the end, at the limit, or when stopped. Throws Error, as LineReader or naming file and line of what is
  // no row.
  [[nodiscard]] std::optional<RewardRow> next();

  [[nodiscard]] const std::vector<std::string>& files() const { return files_; }

 private:
  std::vector<std::string> files_;
  int64_t max_line_bytes_;
  LineReader lines_;
};

}  // namespace prm_score
