// device_step_model.h - runs steps on whatever device the weights are, through libtorch's kernels and on GPUs a few of
// our own.
//
// Same bits whatever else is in a step: matrix products and norms see blocks of one shape, the last one padded;
// attention runs per tile of a trunk and per branch; all the rest is element by element. That blocks of one shape give
// a row the same bits wherever it lies is a property of the device's kernels, which the tests with a GPU hold them to.
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prm_score/model/rotary.h"
#include "prm_score/model/row_operations.h"
#include "prm_score/model/step.h"
#include "prm_score/model/step_layout.h"
#include "prm_score/model/varlen_attention.h"
#include "prm_score/model/weights.h"

namespace prm_score {

class DeviceStepModel final : public StepModel {
 public:
  // Rows of a matrix product: enough to keep the largest GPU busy.
  static constexpr int64_t kBlockRows = 4096;
  // The same in the last layer, where one row of each branch is left.
  static constexpr int64_t kAnswerBlockRows = 256;

  explicit DeviceStepModel(std::shared_ptr<const LoadedModel> model, int64_t block_rows = kBlockRows);
  ~DeviceStepModel() override;

  [[nodiscard]] std::vector<float> run(const Step& step) override;
  [[nodiscard]] std::shared_ptr<TrunkCache> make_trunk(int64_t num_rows) const override;
  [[nodiscard]] int64_t block_rows() const override { return block_rows_; }

 private:
  class Pass;

  void reserve_positions(int64_t num_positions);

  std::shared_ptr<const LoadedModel> model_;
  int64_t block_rows_;
  std::unique_ptr<const VarlenAttention> attention_;
  std::unique_ptr<const RowOperations> rows_;
  at::Tensor norm_, label_difference_;  // float32 [hidden_size], on the device
  RotaryPositions rotary_;
  at::Tensor cos_, sin_;  // float32 [num_positions, head_dim / 2]: rotary_ on the device
};

// Bytes on the device that a step takes for each row, and in any case, for the block at work; about.
[[nodiscard]] int64_t bytes_per_row(const ModelConfig& config, at::ScalarType dtype);
[[nodiscard]] int64_t bytes_per_block(const ModelConfig& config, at::ScalarType dtype);

}  // namespace prm_score
