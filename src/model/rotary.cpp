#include "prm_score/model/rotary.h"

#include <cmath>
#include <iterator>
#include <numbers>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/where.h>

namespace prm_score {
namespace {

// Llama 3.1: a wavelength is the number of positions of one full turn. Those longer than the original context /
// low_freq_factor turn `factor` times slower, those shorter than it / high_freq_factor stay, in between both are mixed.
at::Tensor stretch_long_wavelengths(const at::Tensor& frequencies, const RopeParameters& parameters) {
  const auto original_context = static_cast<double>(parameters.original_max_position_embeddings);
  const at::Tensor wavelengths = frequencies.reciprocal() * (2 * std::numbers::pi);
  const at::Tensor is_long = wavelengths > original_context / parameters.low_freq_factor;
  const at::Tensor is_short = wavelengths < original_context / parameters.high_freq_factor;
  const at::Tensor share_kept = (wavelengths.reciprocal() * original_context - parameters.low_freq_factor) /
                                (parameters.high_freq_factor - parameters.low_freq_factor);
  const at::Tensor mixed = (1 - share_kept) * frequencies / parameters.factor + share_kept * frequencies;
  return at::where(is_long, frequencies / parameters.factor, at::where(is_short, frequencies, mixed));
}

}  // namespace

at::Tensor inverse_frequencies(const RopeParameters& parameters, int64_t head_dim) {
  const at::Tensor exponents = at::arange(0, head_dim, 2, at::kFloat) / head_dim;
  const at::Tensor frequencies = at::pow(parameters.rope_theta, exponents).reciprocal();
  return parameters.rope_type == RopeType::kLlama3 ? stretch_long_wavelengths(frequencies, parameters) : frequencies;
}

RotaryPositions::RotaryPositions(const at::Tensor& inverse_frequencies)
    : inverse_frequencies_(inverse_frequencies.const_data_ptr<float>(),
                           inverse_frequencies.const_data_ptr<float>() + inverse_frequencies.numel()) {}

void RotaryPositions::reserve(int64_t num_positions) {
  // First all the memory: running out of it midway would leave a part of a position.
  const auto num_values = static_cast<size_t>(num_positions) * inverse_frequencies_.size();
  cos_.reserve(num_values);
  sin_.reserve(num_values);
  for (int64_t position = std::ssize(cos_) / std::ssize(inverse_frequencies_); position < num_positions; ++position) {
    for (const float inverse_frequency : inverse_frequencies_) {
      const float angle = static_cast<float>(position) * inverse_frequency;
      cos_.push_back(std::cos(angle));
      sin_.push_back(std::sin(angle));
    }
  }
}

RotaryTable RotaryTable::select(const at::Tensor& rows) const {
  return {.cos = cos.index_select(0, rows), .sin = sin.index_select(0, rows)};
}

RotaryTable make_rotary_table(const at::Tensor& inverse_frequencies, const at::Tensor& position_ids,
                              const at::TensorOptions& like) {
  const at::Tensor angles = position_ids.to(at::kFloat).unsqueeze(1) * inverse_frequencies;  // [num_rows, head_dim / 2]
  return {.cos = angles.cos().unsqueeze(1).to(like), .sin = angles.sin().unsqueeze(1).to(like)};
}

at::Tensor apply_rotary(const at::Tensor& heads, const RotaryTable& table) {
  const int64_t half = heads.size(-1) / 2;
  const at::Tensor first = heads.narrow(-1, 0, half);
  const at::Tensor second = heads.narrow(-1, half, half);
  return at::cat({first * table.cos - second * table.sin, second * table.cos + first * table.sin}, -1);
}

}  // namespace prm_score
