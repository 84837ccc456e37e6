// shard_output.h - the complete output of one shard: its file F, and F.state beside it.
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/io/run_state.h"
#include "prm_score/io/shard.h"
#include "prm_score/text/sha256.h"

namespace prm_score {

struct ShardOutput {
  std::string path;
  RunState state;  // complete: it has exit_code, shard, rows_sha256 and input
  Shard shard;
};

// Reads F.state and looks at F. Throws Error naming the file: no output or no state, rows missing (F.partial), another
// size than the state has, not of a run with --shard, counts that do not agree.
[[nodiscard]] ShardOutput open_shard_output(const std::string& path);

struct ShardRow {
  std::string_view bytes;  // with its LF; valid until the next call
  int64_t line_index = 0;  // of the line that it answers, over all files, from 0
};

// The rows in order. Holds one of them and a small buffer. Not thread-safe.
class ShardRowReader {
 public:
  // `output` has to outlive the reader. Throws Error if it cannot be opened.
  explicit ShardRowReader(const ShardOutput& output);

  // nullopt behind the last row. Throws Error naming file and row: a line that is not the shard's or not behind the one
  // before, a torn last row; at the end, rows that are not those that the run has written, by number and SHA-256.
  [[nodiscard]] std::optional<ShardRow> next();

 private:
  [[nodiscard]] int64_t line_index_of_row();
  void expect_whole() const;
  [[nodiscard]] std::string place() const;

  const ShardOutput& output_;
  std::vector<char> buffer_;
  std::ifstream rows_;
  std::string row_;
  int64_t num_rows_ = 0;
  size_t file_index_ = 0;         // of the input, that of the row read last
  int64_t num_rows_of_file_ = 0;  // read of that file
  int64_t num_lines_before_ = 0;  // of the files before it
  int64_t line_index_ = -1;       // of the row read last
  Sha256 sha256_;
};

}  // namespace prm_score
