// step.h - one forward pass over rows of many prompts: what the rows are, and what they see.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prm_score/model/model_config.h"

namespace prm_score {

// Rows of a trunk whose attention is computed together, counted from the trunk's first row; a multiple of it is where a
// trunk may be cut between two steps.
inline constexpr int64_t kTileRows = 64;

// Keys and values of a trunk's rows, for the branches and for the rows of the trunk that come later.
class TrunkCache {
 public:
  // Uninitialised memory for `num_rows` rows, `row_stride` elements apart.
  TrunkCache(const ModelConfig& config, int64_t num_rows, int64_t row_stride, const at::TensorOptions& options);

  [[nodiscard]] int64_t num_rows() const { return num_rows_; }
  [[nodiscard]] int64_t row_stride() const { return row_stride_; }

  // [num_rows, num_key_value_heads * head_dim], strided.
  [[nodiscard]] const at::Tensor& keys(int64_t layer) const { return keys_[layer]; }
  [[nodiscard]] const at::Tensor& values(int64_t layer) const { return values_[layer]; }

 private:
  int64_t num_rows_, row_stride_;
  std::vector<at::Tensor> keys_, values_;
};

// Neighbouring rows of a step. Each sees the first `num_shared` rows of the trunk, the rows of its segment before it,
// and itself; the first one's position is `num_shared`.
struct Segment {
  int64_t begin = 0, end = 0;         // rows of the step
  std::shared_ptr<TrunkCache> trunk;  // null if num_shared is 0 and nothing is extended
  int64_t num_shared = 0;
  bool extends_trunk = false;  // its rows become the trunk's, from num_shared on; a whole tile but for the trunk's end.
                               // Else it is a branch, and its last row answers

  [[nodiscard]] int64_t num_rows() const { return end - begin; }
};

struct Step {
  std::vector<int32_t> input_ids;  // of every row
  std::vector<Segment> segments;   // one behind the other, without gaps

  // One more than the last position of any row.
  [[nodiscard]] int64_t num_positions() const;
};

// Runs steps. A branch's answer depends, bit by bit, on its own ids and on its trunk (and on machine, versions and
// options), never on what else is in the steps that compute it.
class StepModel {
 public:
  virtual ~StepModel() = default;

  // Ids are within the vocabulary: nobody looks after that any more.
  //
  // logit(A) - logit(B) of each branch in order, in nats; not finite if that is how the numbers come out. Throws
  // OutOfMemory if memory runs out; the same step, or parts of it, may then be run again. Not thread-safe.
  [[nodiscard]] virtual std::vector<float> run(const Step& step) = 0;

  // Throws OutOfMemory.
  [[nodiscard]] virtual std::shared_ptr<TrunkCache> make_trunk(int64_t num_rows) const = 0;

  // Rows of a step cost no less than the next multiple of this.
  [[nodiscard]] virtual int64_t block_rows() const = 0;
};

}  // namespace prm_score
