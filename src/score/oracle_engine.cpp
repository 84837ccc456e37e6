#include "prm_score/score/oracle_engine.h"

#include <iterator>
#include <utility>

namespace prm_score {

void OracleEngine::add(int64_t ticket, ScorePlan plan, int64_t num_chunks) {
  num_rows_waiting_ += plan.num_rows_alone();
  work_.push_back({.result = JudgedPlan::unanswered(ticket, num_chunks), .plan = std::move(plan)});
}

std::vector<JudgedPlan> OracleEngine::run_step() {
  try {
    if (!work_.empty() && !work_.front().is_done()) run_next_prompt(work_.front());
  } catch (...) {
    clear();
    throw;
  }
  std::vector<JudgedPlan> judged;
  while (!work_.empty() && work_.front().is_done()) {
    judged.push_back(std::move(work_.front().result));
    work_.pop_front();
  }
  return judged;
}

void OracleEngine::clear() {
  work_.clear();
  num_rows_waiting_ = 0;
}

void OracleEngine::run_next_prompt(Work& work) {
  const TrunkPlan& trunk = work.plan.trunks[work.trunk];
  if (work.branch < trunk.branches.size()) {
    const Branch& branch = trunk.branches[work.branch++];
    const std::vector<TokenId> input_ids = prompt_of(trunk, branch);
    work.result.log_odds[branch.chunk] = judge_.log_odds(input_ids);
    num_rows_waiting_ -= std::ssize(input_ids);
  }
  if (work.branch == trunk.branches.size()) {
    ++work.trunk;
    work.branch = 0;
  }
}

}  // namespace prm_score
