// rotary.h - rotary position embedding (Su et al. 2021, arXiv:2104.09864) in the layout of Hugging Face checkpoints:
// component i of a head is rotated together with component i + head_dim / 2.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prm_score/model/model_config.h"

namespace prm_score {

// Radians per position of each pair of components: [head_dim / 2], float32, CPU. The very operations of the reference,
// in float32: at position 5000 an angle in float32 is 3e-4 off, and must be off by the same.
[[nodiscard]] at::Tensor inverse_frequencies(const RopeParameters& parameters, int64_t head_dim);

// Cosines and sines of every position so far, one by one by the C library: a vectorised loop gives other bits at its
// end. Not thread-safe.
class RotaryPositions {
 public:
  // `inverse_frequencies`: [head_dim / 2], float32, CPU.
  explicit RotaryPositions(const at::Tensor& inverse_frequencies);

  // Afterwards the positions below `num_positions` are there.
  void reserve(int64_t num_positions);

  // [num_positions * head_dim / 2], position by position.
  [[nodiscard]] const std::vector<float>& cos() const { return cos_; }
  [[nodiscard]] const std::vector<float>& sin() const { return sin_; }

 private:
  std::vector<float> inverse_frequencies_, cos_, sin_;
};

// Cosine and sine of every row's angles: [num_rows, 1, head_dim / 2].
struct RotaryTable {
  at::Tensor cos;
  at::Tensor sin;

  // The table of the chosen rows, `rows` [num_chosen] of integers.
  [[nodiscard]] RotaryTable select(const at::Tensor& rows) const;
};

// position_ids [num_rows], integers, CPU. Computed in float32 on the CPU, whatever the device, then rounded to the
// dtype of `like` and moved to its device.
[[nodiscard]] RotaryTable make_rotary_table(const at::Tensor& inverse_frequencies, const at::Tensor& position_ids,
                                            const at::TensorOptions& like);

// heads [num_rows, num_heads, head_dim] -> the same, rotated. Products are rounded before they are added, as in the
// reference.
[[nodiscard]] at::Tensor apply_rotary(const at::Tensor& heads, const RotaryTable& table);

}  // namespace prm_score
