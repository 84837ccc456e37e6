// self_check.h - the engine against the oracle on built-in sequences, before it is trusted.
#pragma once

#include <memory>
#include <vector>

#include "prm_score/model/weights.h"
#include "prm_score/score/engine.h"

namespace prm_score {

// Plans of made-up ids that take every path of the engine that this model allows: trunks longer than a tile, branches
// that share nothing and that share all, a single row. The same for the same arguments.
[[nodiscard]] std::vector<ScorePlan> self_check_plans(int64_t vocab_size, int64_t max_positions);

// Throws Error naming sequence, chunk, expected and found if `engine` is further off than the contract allows: in
// float32 1e-4 * max(1, |log_odds|) from the oracle, chunk by chunk; in bfloat16 and int8 1.25 times (mean) and twice
// (maximum) as far from the oracle in float32 as the oracle in that precision is. `engine` must be without work.
void self_check(Engine& engine, const std::shared_ptr<const LoadedModel>& model);

}  // namespace prm_score
