#include "prm_score/cli/slurm_array.h"

#include <cstdlib>
#include <string>

#include "option_values.h"

#include "prm_score/cli/options.h"
#include "prm_score/io/json_line.h"

namespace prm_score {
namespace {

constexpr const char* kTaskId = "SLURM_ARRAY_TASK_ID";
constexpr const char* kMaxId = "SLURM_ARRAY_TASK_MAX";

UsageError wrong(const std::string& expected, const std::string& found) {
  return UsageError("--shard auto: expected " + expected + ", got " + found);
}

int64_t number_in(const char* variable, int64_t min) {
  const char* value = std::getenv(variable);
  int64_t number = 0;
  if (value != nullptr && set_integer(number, value, min)) return number;
  throw wrong(std::string(variable) + " to be an integer >= " + std::to_string(min),
              value == nullptr ? "none" : to_json_string(value));
}

}  // namespace

Shard shard_of_slurm_task(const std::optional<int64_t>& num_shards) {
  const char* task = std::getenv(kTaskId);
  if (task == nullptr || *task == '\0') {
    throw wrong(std::string("a task of a Slurm array (") + kTaskId + ")", "none");
  }
  const int64_t id = number_in(kTaskId, 0);
  if (num_shards) return {.number = id, .num_shards = *num_shards};

  const int64_t count = number_in("SLURM_ARRAY_TASK_COUNT", 1);
  if (count == 1) {
    throw wrong("an array of several tasks, or --num-shards (for a task that is sent again: that of all tasks)",
                "an array of one task, " + std::to_string(id));
  }
  const int64_t min = number_in("SLURM_ARRAY_TASK_MIN", 0), step = number_in("SLURM_ARRAY_TASK_STEP", 1);
  const int64_t last = min + (count - 1) * step;
  const int64_t max = std::getenv(kMaxId) != nullptr ? number_in(kMaxId, 0) : last;
  // Slurm says STEP = 1 also of --array=0,1,5.
  const bool is_regular = last == max && id >= min && id <= max && (id - min) % step == 0;
  if (!is_regular) {
    throw wrong("an array of tasks that are equally far apart, or --num-shards",
                std::to_string(count) + " tasks from " + std::to_string(min) + " to " + std::to_string(max) +
                    " in steps of " + std::to_string(step) + ", of which this is " + std::to_string(id));
  }
  return {.number = (id - min) / step, .num_shards = count};
}

}  // namespace prm_score
