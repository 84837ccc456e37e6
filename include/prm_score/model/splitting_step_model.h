// splitting_step_model.h - runs a step in parts where memory does not suffice for the whole.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "prm_score/model/step.h"

namespace prm_score {

// Runs each step whole, as long as that goes. When memory runs out, the step goes on in parts of half the rows, and so
// on, down to one block or a single segment; from then on no part is larger than what went. Answers do not depend on it
// (StepModel).
class SplittingStepModel final : public StepModel {
 public:
  explicit SplittingStepModel(std::unique_ptr<StepModel> model);

  // Throws OutOfMemory if not even the smallest part goes.
  [[nodiscard]] std::vector<float> run(const Step& step) override;
  [[nodiscard]] std::shared_ptr<TrunkCache> make_trunk(int64_t num_rows) const override;
  [[nodiscard]] int64_t block_rows() const override { return model_->block_rows(); }

 private:
  [[nodiscard]] size_t end_of_part(const Step& step, size_t begin) const;

  std::unique_ptr<StepModel> model_;
  int64_t max_rows_;
};

// Segments [begin, end) of a step as a step of its own.
[[nodiscard]] Step part_of(const Step& step, size_t begin, size_t end);

}  // namespace prm_score
