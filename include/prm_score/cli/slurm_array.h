// slurm_array.h - the task of a Slurm job array to its shard.
//
//   sbatch --array=0-3     tasks 0 1 2 3    shards 0 1 2 3 of 4
//   sbatch --array=2-8:2   tasks 2 4 6 8    shards 0 1 2 3 of 4
//   sbatch --array=3       task  3          an error: a task that is sent again is no array of one. With --num-shards 4
//                                           the number of a task is that of its shard, whatever the array: 3 of 4
#pragma once

#include <cstdint>
#include <optional>

#include "prm_score/io/shard.h"

namespace prm_score {

// Reads SLURM_ARRAY_TASK_ID, _COUNT, _MIN, _STEP and, if it is there, _MAX; with `num_shards` the first alone, whose
// number may then be too large. Throws UsageError outside of an array, for an array of one task, and for one whose
// tasks are not equally far apart.
[[nodiscard]] Shard shard_of_slurm_task(const std::optional<int64_t>& num_shards);

}  // namespace prm_score
