#include "prm_score/model/splitting_step_model.h"

#include <limits>
#include <utility>

#include "prm_score/error.h"

namespace prm_score {
namespace {

int64_t num_rows(const Step& step, size_t begin, size_t end) {
  return begin == end ? 0 : step.segments[end - 1].end - step.segments[begin].begin;
}

// Where [begin, end), of two segments at least, falls into two parts of about the same number of rows, none empty.
size_t middle_of(const Step& step, size_t begin, size_t end) {
  size_t middle = begin + 1;
  while (middle + 1 < end && 2 * num_rows(step, begin, middle) < num_rows(step, begin, end)) ++middle;
  return middle;
}

}  // namespace

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

std::vector<float> SplittingStepModel::run(const Step& step) {
  std::vector<float> answers;
  run_part(step, 0, step.segments.size(), answers);
  return answers;
}

std::shared_ptr<TrunkCache> SplittingStepModel::make_trunk(int64_t num_rows) const {
  return model_->make_trunk(num_rows);
}

// In order: a trunk's rows come before those that see them.
void SplittingStepModel::run_part(const Step& step, size_t begin, size_t end, std::vector<float>& answers) {
  const int64_t rows = num_rows(step, begin, end);
  if (rows <= max_rows_ || end - begin < 2) {
    try {
      const bool is_whole = end - begin == step.segments.size();
      const std::vector<float> some = is_whole ? model_->run(step) : model_->run(part_of(step, begin, end));
      answers.insert(answers.end(), some.begin(), some.end());
      return;
    } catch (const OutOfMemory&) {
      if (end - begin < 2) throw;
      max_rows_ = rows / 2;
    }
  }
  const size_t middle = middle_of(step, begin, end);
  run_part(step, begin, middle, answers);
  run_part(step, middle, end, answers);
}

}  // namespace prm_score
