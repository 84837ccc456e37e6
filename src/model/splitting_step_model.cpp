#include "prm_score/model/splitting_step_model.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "prm_score/error.h"

namespace prm_score {
Step part_of(const Step& step, size_t begin, size_t end) {
  Step part;
  part.segments.assign(step.segments.begin() + static_cast<std::ptrdiff_t>(begin),
                       step.segments.begin() + static_cast<std::ptrdiff_t>(end));
  if (part.segments.empty()) return part;
  const int64_t first_row = part.segments.front().begin;
  part.input_ids.assign(step.input_ids.begin() + first_row, step.input_ids.begin() + part.segments.back().end);
  for (Segment& segment : part.segments) {
    segment.begin -= first_row;
    segment.end -= first_row;
  }
  return part;
}

SplittingStepModel::SplittingStepModel(std::unique_ptr<StepModel> model)
    : model_(std::move(model)), max_rows_(std::numeric_limits<int64_t>::max()) {}

std::shared_ptr<TrunkCache> SplittingStepModel::make_trunk(int64_t num_rows) const {
  return model_->make_trunk(num_rows);
}

// As many segments as may run at once, one at least.
size_t SplittingStepModel::end_of_part(const Step& step, size_t begin) const {
  size_t end = begin + 1;
  while (end < step.segments.size() && step.segments[end].end - step.segments[begin].begin <= max_rows_) ++end;
  return end;
}

std::vector<float> SplittingStepModel::run(const Step& step) {
  std::vector<float> answers;
  size_t begin = 0;
  while (begin < step.segments.size()) {
    const size_t end = end_of_part(step, begin);
    const bool is_whole = end - begin == step.segments.size();
    try {
      const std::vector<float> some = is_whole ? model_->run(step) : model_->run(part_of(step, begin, end));
      answers.insert(answers.end(), some.begin(), some.end());
      begin = end;
    } catch (const OutOfMemory&) {
      const int64_t num_rows = step.segments[end - 1].end - step.segments[begin].begin, block = model_->block_rows();
      if (end - begin == 1 || num_rows <= block) throw;  // less would take as much
      max_rows_ = std::max(block, num_rows / 2 / block * block);
    }
  }
  return answers;
}

}  // namespace prm_score
