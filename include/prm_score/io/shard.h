// shard.h - which lines of the input a run answers, where several runs share them.
//
//   line, over all files, from 0   0  1  2  3  4  5  6    blank ones count, those behind --limit do not
//   its shard of 3                 0  1  2  0  1  2  0
#pragma once

#include <cstdint>

namespace prm_score {

struct Shard {
  int64_t number = 0;      // from 0, less than num_shards
  int64_t num_shards = 1;  // >= 1; 1 = all lines

  [[nodiscard]] bool has(int64_t line_index) const { return line_index % num_shards == number; }
};

}  // namespace prm_score
