#include "prm_score/score/shared_prefix_engine.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

#include "prm_score/error.h"

namespace prm_score {

SharedPrefixEngine::SharedPrefixEngine(std::unique_ptr<StepModel> model, int64_t max_batch_tokens)
    : model_(std::move(model)), max_batch_tokens_(max_batch_tokens) {
  assert(max_batch_tokens >= kTileRows);
}

void SharedPrefixEngine::add(int64_t ticket, ScorePlan plan, int64_t num_chunks) {
  num_rows_waiting_ += plan.num_rows();
  Work& work = work_.emplace_back();
  work.result = JudgedPlan::unanswered(ticket, num_chunks);
  work.plan = std::move(plan);
}

// Appends ids [begin, end) as a segment; false if they do not fit into the step any more.
bool SharedPrefixEngine::append(const std::vector<TokenId>& ids, int64_t begin, int64_t end, Segment segment,
                                Step& step) const {
  const auto num_rows = std::ssize(step.input_ids);
  if (num_rows > 0 && num_rows + (end - begin) > max_batch_tokens_) return false;
  step.input_ids.insert(step.input_ids.end(), ids.begin() + begin, ids.begin() + end);
  segment.begin = num_rows;
  segment.end = num_rows + (end - begin);
  step.segments.push_back(std::move(segment));
  return true;
}

// Memory for the trunk at work; false if there is none as long as the step's other documents hold theirs.
bool SharedPrefixEngine::make_cache(Work& work, const Step& step) const {
  try {
    work.cache = model_->make_trunk(std::ssize(work.plan.trunks[work.trunk].ids));
    return true;
  } catch (const OutOfMemory&) {
    if (step.input_ids.empty()) throw;
    return false;
  }
}

// As many of the document's segments as the step has room for.
void SharedPrefixEngine::fill(Work& work, Step& step, std::vector<Answer>& answers) {
  while (!work.is_planned_out()) {
    const TrunkPlan& trunk = work.plan.trunks[work.trunk];
    const auto trunk_size = std::ssize(trunk.ids);
    if (!work.cache && trunk_size > 0 && !make_cache(work, step)) return;
    if (work.branch < trunk.branches.size() && trunk.branches[work.branch].num_shared <= work.num_rows) {
      const Branch& branch = trunk.branches[work.branch];
      if (!append(branch.ids, 0, std::ssize(branch.ids), {.trunk = work.cache, .num_shared = branch.num_shared}, step))
        return;
      answers.push_back({.work = &work, .chunk = branch.chunk});
      ++work.branch;
    } else if (work.num_rows < trunk_size) {
      const int64_t end = std::min(work.num_rows + kTileRows, trunk_size);
      if (!append(trunk.ids, work.num_rows, end,
                  {.trunk = work.cache, .num_shared = work.num_rows, .extends_trunk = true}, step))
        return;
      work.num_rows = end;
    } else {
      work.cache = nullptr;  // the step's segments hold it until they are done
      work.num_rows = 0;
      work.branch = 0;
      ++work.trunk;
    }
  }
}

// Documents that are planned further than they are computed are of no use after a failure.
std::vector<float> SharedPrefixEngine::run_or_clear(const Step& step) {
  try {
    return model_->run(step);
  } catch (...) {
    clear();
    throw;
  }
}

std::vector<JudgedPlan> SharedPrefixEngine::run_step() {
  Step step;
  std::vector<Answer> answers;
  for (Work& work : work_) {
    fill(work, step, answers);
    if (!work.is_planned_out()) break;
  }
  if (!step.input_ids.empty()) {
    const std::vector<float> log_odds = run_or_clear(step);
    assert(log_odds.size() == answers.size());
    for (size_t i = 0; i < answers.size(); ++i) {
      answers[i].work->result.log_odds[answers[i].chunk] = log_odds[i];
    }
    num_rows_waiting_ -= std::ssize(step.input_ids);
  }
  std::vector<JudgedPlan> judged;
  while (!work_.empty() && work_.front().is_planned_out()) {
    judged.push_back(std::move(work_.front().result));
    work_.pop_front();
  }
  return judged;
}

void SharedPrefixEngine::clear() {
  work_.clear();
  num_rows_waiting_ = 0;
}

}  // namespace prm_score
