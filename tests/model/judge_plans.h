// judge_plans.h - what an engine says of plans that are all given to it at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "prm_score/score/engine.h"

namespace prm_score {

using LogOdds = std::vector<std::vector<std::optional<float>>>;  // [plans][chunks]

// The plans go in by `order`, their indices.
inline LogOdds judge_plans(Engine& engine, const std::vector<ScorePlan>& plans, const std::vector<size_t>& order) {
  LogOdds result(plans.size());
  for (const size_t i : order) {
    int64_t num_chunks = 0;
    for (const TrunkPlan& trunk : plans[i].trunks) num_chunks += std::ssize(trunk.branches);
    engine.add(static_cast<int64_t>(i), plans[i], num_chunks);
  }
  while (engine.num_rows_waiting() > 0) {
    for (JudgedPlan& judged : engine.run_step()) result[judged.ticket] = std::move(judged.log_odds);
  }
  return result;
}

inline LogOdds judge_plans(Engine& engine, const std::vector<ScorePlan>& plans) {
  std::vector<size_t> order(plans.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  return judge_plans(engine, plans, order);
}

}  // namespace prm_score
