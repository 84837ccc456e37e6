#include "prm_score/model/fp8_linear.h"

#include <cmath>
#include <limits>
#include <vector>

#include "checkpoint_builder.h"
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

// What the 127 codes without a sign stand for: 4 bits of exponent with bias 7, 3 of mantissa, no infinity; code 127 is
// nan. By the OCP 8-bit floating point specification.
std::vector<float> numbers_of_e4m3() {
  std::vector<float> numbers;
  for (int code = 0; code < 127; ++code) {
    const int exponent = code >> 3, mantissa = code & 7;
    numbers.push_back(exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                    : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10));
  }
  return numbers;
}

// The nearest of them; of two as near, the one with the even code.
float nearest(float x) {
  static const std::vector<float> numbers = numbers_of_e4m3();
  size_t best = 0;
  for (size_t code = 1; code < numbers.size(); ++code) {
    const float distance = std::abs(std::abs(x) - numbers[code]), least = std::abs(std::abs(x) - numbers[best]);
    if (distance < least || (distance == least && code % 2 == 0)) best = code;
  }
  return std::copysign(numbers[best], x);
}

Linear random_linear(int64_t num_outputs, int64_t num_inputs, bool has_bias) {
  at::manual_seed(num_outputs + num_inputs);
  return {.weight = at::randn({num_outputs, num_inputs}),
          .bias = has_bias ? at::randn({num_outputs}) : at::Tensor(),
          .quantization = Quantization::kFp8};
}

TEST(Fp8Rounding, TheLargestNumberIs448) {
  EXPECT_EQ(numbers_of_e4m3().back(), kLargestFp8);
  EXPECT_EQ(numbers_of_e4m3()[1], std::ldexp(1.0F, -9));
}

TEST(Fp8Rounding, GivesTheNearestOfE4m3OverTheRowsScale) {
  at::manual_seed(3);
  const at::Tensor rows = at::randn({20, 333}) * at::randn({20, 1}).exp() * at::randn({1, 333}).exp();
  const auto [values, scales] = round_to_fp8(rows);
  ASSERT_EQ(values.scalar_type(), at::kFloat8_e4m3fn);
  ASSERT_EQ(scales.sizes(), (at::IntArrayRef{20, 1}));
  const at::Tensor found = values.to(at::kFloat);
  for (int64_t row = 0; row < 20; ++row) {
    const float scale = rows[row].abs().max().item<float>() / 448;
    EXPECT_EQ(scales[row][0].item<float>(), scale);
    EXPECT_EQ(found[row].abs().max().item<float>(), 448.0F);
    for (int64_t i = 0; i < 333; ++i) {
      EXPECT_EQ(found[row][i].item<float>(), nearest(rows[row][i].item<float>() / scale));
    }
  }
}

TEST(Fp8Rounding, NothingIsLargerThanTheLargest) {
  // The quotient of the largest number and the scale may be above 448 by a last bit.
  at::manual_seed(4);
  const at::Tensor found = round_to_fp8(at::randn({5000, 3})).values.to(at::kFloat);
  EXPECT_FALSE(found.isnan().any().item<bool>());
  EXPECT_EQ(found.abs().max().item<float>(), 448.0F);
}

TEST(Fp8Rounding, ZerosAndWhatIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor rows = at::tensor({0.0F, 0.0F, 1.0F, kInfinity, 1.0F, kNan, 1e-45F, 0.0F, 1.0F, -2.0F}).view({5, 2});
  const Linear linear = {.weight = at::tensor({1.0F, 1.0F}).view({1, 2}).to(at::kFloat8_e4m3fn),
                         .bias = {},
                         .quantization = Quantization::kFp8,
                         .scales = at::tensor({1.0F})};
  const at::Tensor found = fp8_linear_by_operators(rows, linear);
  EXPECT_EQ(found[0][0].item<float>(), 0.0F);
  EXPECT_TRUE(std::isnan(found[1][0].item<float>()));
  EXPECT_TRUE(std::isnan(found[2][0].item<float>()));
  EXPECT_EQ(found[3][0].item<float>(), 0.0F);
  EXPECT_NEAR(found[4][0].item<float>(), -1.0F, 0.1);
}

TEST(Fp8Linear, IsNearTheLayerInFloat32) {
  for (const bool has_bias : {false, true}) {
    const Linear exact = random_linear(304, 896, has_bias);
    const Linear rounded = to_fp8(exact);
    EXPECT_EQ(rounded.weight.scalar_type(), at::kFloat8_e4m3fn);
    EXPECT_EQ(rounded.scales.sizes(), at::IntArrayRef{304});
    const at::Tensor rows = at::randn({64, 896});
    const at::Tensor found = rounded.apply(rows);
    Linear plain = exact;
    plain.quantization = Quantization::kNone;
    const at::Tensor expected = plain.apply(rows);
    const double error = ((found - expected).norm() / expected.norm()).item<double>();
    EXPECT_LT(error, 0.05);
    EXPECT_GT(error, 1e-3);  // it is rounded
  }
}

TEST(Fp8Linear, PartsOfItAreItsOutputs) {
  const Linear linear = to_fp8(random_linear(96, 64, true));
  const at::Tensor rows = at::randn({8, 64}).to(at::kBFloat16);
  EXPECT_TRUE(at::equal(linear.outputs(32, 48).apply(rows), linear.apply(rows).narrow(1, 32, 48)));
  EXPECT_EQ(linear.apply(rows).scalar_type(), at::kBFloat16);
}

TEST(Fp8Linear, RefusesSizesThatTheKernelsDoNotTake) {
  EXPECT_EQ(error_of([] { (void)to_fp8(random_linear(112, 173, false)); }),
            "--dtype fp8: expected linear layers whose inputs and outputs are multiples of 16, got one of 173 inputs "
            "and 112 outputs");
  EXPECT_NE(error_of([] { (void)to_fp8(random_linear(120, 64, false)); }), "");
}

}  // namespace
}  // namespace prm_score
