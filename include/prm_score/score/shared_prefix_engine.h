// shared_prefix_engine.h - one pass per document: what its prompts share is computed once.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "prm_score/model/step.h"
#include "prm_score/score/engine.h"

namespace prm_score {

// Trunks and branches of many documents, packed into steps of at most `max_batch_tokens` rows (or of one segment, if
// that is longer: a branch is never cut).
class SharedPrefixEngine final : public Engine {
 public:
  SharedPrefixEngine(std::unique_ptr<StepModel> model, int64_t max_batch_tokens);

  void add(int64_t ticket, ScorePlan plan, int64_t num_chunks) override;
  [[nodiscard]] int64_t num_rows_waiting() const override { return num_rows_waiting_; }
  [[nodiscard]] std::vector<JudgedPlan> run_step() override;
  void clear() override;

 private:
  // A document under way. Its segments are made in order: trunk by trunk, each branch as soon as the rows that it
  // shares are there.
  struct Work {
    JudgedPlan result;
    ScorePlan plan;
    size_t trunk = 0;      // index of the trunk at work
    int64_t num_rows = 0;  // of that trunk, done
    size_t branch = 0;     // index of its next branch
    std::shared_ptr<TrunkCache> cache;

    [[nodiscard]] bool is_planned_out() const { return trunk == plan.trunks.size(); }
  };
  // Where an answer of the step goes.
  struct Answer {
    Work* work;
    int64_t chunk;
  };

  [[nodiscard]] std::vector<float> run_or_clear(const Step& step);
  [[nodiscard]] bool make_cache(Work& work, const Step& step) const;
  void fill(Work& work, Step& step, std::vector<Answer>& answers);
  [[nodiscard]] bool append(const std::vector<TokenId>& ids, int64_t begin, int64_t end, Segment segment,
                            Step& step) const;

  std::unique_ptr<StepModel> model_;
  int64_t max_batch_tokens_;
  int64_t num_rows_waiting_ = 0;
  std::deque<Work> work_;
};

}  // namespace prm_score
