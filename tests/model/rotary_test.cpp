#include "prm_score/model/rotary.h"

#include <cmath>
#include <numbers>

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

RotaryTable table_of(const at::Tensor& frequencies, int64_t num_positions) {
  return make_rotary_table(frequencies, at::arange(num_positions, at::kLong), at::kFloat);
}

TEST(InverseFrequencies, AreGeometricFromOne) {
  const at::Tensor frequencies = inverse_frequencies({.rope_theta = 10000.0}, 4);
  EXPECT_TRUE(at::allclose(frequencies, at::tensor({1.0f, 0.01f}), 1e-6, 0)) << frequencies;
}

// Wavelengths 2 pi, 64 and more than 128 with original context 128: kept, mixed with (128 / 64 - 1) / (4 - 1) = 1/3
// kept, divided by 8.
TEST(InverseFrequencies, Llama3StretchesLongWavelengths) {
  const double middle = 2 * std::numbers::pi / 64;
  const RopeParameters parameters = {.rope_type = RopeType::kLlama3,
                                     .rope_theta = std::pow(1 / middle, 3.0),
                                     .factor = 8.0,
                                     .low_freq_factor = 1.0,
                                     .high_freq_factor = 4.0,
                                     .original_max_position_embeddings = 128};
  const at::Tensor frequencies = inverse_frequencies(parameters, 6);
  EXPECT_NEAR(frequencies[0].item().toDouble(), 1.0, 1e-6);
  EXPECT_NEAR(frequencies[1].item().toDouble(), middle * (2.0 / 3 / 8 + 1.0 / 3), 1e-6);
  EXPECT_NEAR(frequencies[2].item().toDouble(), middle * middle / 8, 1e-7);
}

TEST(ApplyRotary, TurnsEachPairByItsAngle) {
  // Two frequencies, so component 0 turns with 2 and 1 with 3.
  const RotaryTable table = table_of(at::tensor({1.0f, 0.5f}), 3);
  const at::Tensor heads = at::tensor({1.0f, 1.0f, 0.0f, 0.0f}).expand({3, 1, 4});
  const at::Tensor rotated = apply_rotary(heads, table);
  for (int64_t position = 0; position < 3; ++position) {
    const auto angle = static_cast<float>(position);
    const at::Tensor expected =
        at::tensor({std::cos(angle), std::cos(angle / 2), std::sin(angle), std::sin(angle / 2)});
    EXPECT_TRUE(at::allclose(rotated[position][0], expected, 1e-6, 1e-6)) << rotated[position];
  }
}

TEST(ApplyRotary, AllHeadsOfARowTurnAlike) {
  const RotaryTable table = table_of(at::tensor({1.0f}), 2);
  const at::Tensor heads = at::tensor({3.0f, 4.0f}).expand({2, 5, 2});
  const at::Tensor rotated = apply_rotary(heads, table);
  EXPECT_TRUE(at::allclose(rotated[1][0], rotated[1][4], 0, 0));
}

TEST(RotaryTable, SelectsRows) {
  const RotaryTable all = table_of(at::tensor({1.0f}), 4);
  const RotaryTable chosen = all.select(at::tensor({3, 1}, at::kLong));
  EXPECT_EQ(chosen.cos[0].item().toFloat(), all.cos[3].item().toFloat());
  EXPECT_EQ(chosen.sin[1].item().toFloat(), all.sin[1].item().toFloat());
}

TEST(MakeRotaryTable, AnglesAreTakenInFloat32WhateverTheDtype) {
  const at::Tensor frequencies = inverse_frequencies({}, 8);
  const at::Tensor positions = at::arange(1000, at::kLong);
  const RotaryTable precise = make_rotary_table(frequencies, positions, at::kFloat);
  const RotaryTable rounded = make_rotary_table(frequencies, positions, at::kBFloat16);
  EXPECT_TRUE(at::allclose(rounded.cos, precise.cos.to(at::kBFloat16), 0, 0));
}

}  // namespace
}  // namespace prm_score
