// cpu_step_model.h - runs steps on the CPU.
//
// A step's rows are cut into blocks of kBlockRows, the last one padded, and every block goes through a layer's matrix
// products by itself, on one thread, from its norm to its residual: its activations stay in that core's cache, and a
// row's bits depend neither on what else is in the step nor on the number of threads (linear.h). The layers lie packed
// in memory if it holds them, else each is converted and packed in every step.
// Attention runs per tile of query rows and key-value head (segment_attention.h).
#pragma once

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prm_score/model/rotary.h"
#include "prm_score/model/segment_attention.h"
#include "prm_score/model/step.h"
#include "prm_score/model/weights.h"

namespace prm_score {

class CpuStepModel final : public StepModel {
 public:
  static constexpr int64_t kBlockRows = 128;

  // The weights are on the CPU. Throws OutOfMemory.
  explicit CpuStepModel(std::shared_ptr<const LoadedModel> model);
  ~CpuStepModel() override;

  // Another one that shares the packed layers, for another thread.
  [[nodiscard]] std::unique_ptr<CpuStepModel> replica() const;

  [[nodiscard]] std::vector<float> run(const Step& step) override;
  [[nodiscard]] std::shared_ptr<TrunkCache> make_trunk(int64_t num_rows) const override;
  [[nodiscard]] int64_t block_rows() const override { return kBlockRows; }

 private:
  template <typename T>
  class Pass;

  struct Layer;

  struct Shared {};
  CpuStepModel(const CpuStepModel& other, Shared);

  // Activations of the block that a thread works on: [kBlockRows, ..] in the compute dtype.
  struct Scratch {
    at::Tensor normed;  // [.., hidden_size]
    at::Tensor gated;   // [.., intermediate_size]
    AttentionScratch attention;
  };

  [[nodiscard]] std::shared_ptr<const Layer> layer(int64_t index) const;
  void reserve(const Step& step);

  std::shared_ptr<const LoadedModel> model_;
  std::vector<std::shared_ptr<const Layer>> layers_;  // all of them, or empty
  std::vector<float> norm_, label_difference_;
  RotaryPositions rotary_;
  std::vector<Scratch> scratch_;  // [num_threads]
  // Of a step: [blocks * kBlockRows, ..]; grow to the largest step and stay.
  at::Tensor hidden_;    // float32 [.., hidden_size]
  at::Tensor qkv_;       // [.., query_size + 2 key_value_size]
  at::Tensor attended_;  // [.., query_size]
  at::Tensor answers_;   // float32 [.., hidden_size]: the rows that answer, in the last layer
};

}  // namespace prm_score
