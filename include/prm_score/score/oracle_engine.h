// oracle_engine.h - each prompt on its own, as the reference runs it: slow, simple, what the fast engine has to equal.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "prm_score/model/transformer.h"
#include "prm_score/score/engine.h"

namespace prm_score {

// A prompt is a step.
class OracleEngine final : public Engine {
 public:
  explicit OracleEngine(std::shared_ptr<const LoadedModel> model) : judge_(std::move(model)) {}

  void add(int64_t ticket, ScorePlan plan, int64_t num_chunks) override;
  [[nodiscard]] int64_t num_rows_waiting() const override { return num_rows_waiting_; }
  [[nodiscard]] std::vector<JudgedPlan> run_step() override;
  void clear() override;

 private:
  struct Work {
    JudgedPlan result;
    ScorePlan plan;
    size_t trunk = 0, branch = 0;  // the next prompt

    [[nodiscard]] bool is_done() const { return trunk == plan.trunks.size(); }
  };

  void run_next_prompt(Work& work);

  Transformer judge_;
  int64_t num_rows_waiting_ = 0;
  std::deque<Work> work_;
};

}  // namespace prm_score
