// shard_merge.h - the outputs of all shards to the rows of the single run, in its order.
//
//   out.0   1  4  7        a row goes out when its line, counted over all files, is the smallest of those that come
//   out.1   2     8   ->   next: 1 2 3 4 6 7 8 9. Blank lines have no rows, so that shards do not simply alternate.
//   out.2   3  6  9
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/io/run_state.h"
#include "prm_score/io/shard_output.h"

namespace prm_score {

// Memory: a small buffer and a row per shard. Not thread-safe.
class ShardMerge {
 public:
  // `paths`: the outputs in any order, at least one. Reads their states. Throws Error as open_shard_output(), if a
  // shard is missing or there twice, and naming what differs if they are not shards of one run on one input.
  explicit ShardMerge(const std::vector<std::string>& paths);

  // Reads all rows. Throws Error as ShardRowReader.
  void check_rows();

  // Of the single run, as if it had written the rows; `input_sha256` of its progress is known after check_rows(). Its
  // rows_sha256 and exit_code are not given.
  [[nodiscard]] const RunState& state() const { return state_; }

  // What differs between the records of the shards: "cpu: X in out.0, Y in out.2"; empty if nothing does.
  [[nodiscard]] const std::string& warning() const { return warning_; }

  // Gives every row, with its LF, until `take` returns false. Throws Error as ShardRowReader.
  void for_each_row(const std::function<bool(std::string_view row)>& take) const;

 private:
  void expect_one_run() const;
  void expect_all_shards() const;
  void merge_states();

  std::vector<ShardOutput> shards_;  // by number, once all are known to be there
  RunState state_;
  std::string warning_;
};

}  // namespace prm_score
