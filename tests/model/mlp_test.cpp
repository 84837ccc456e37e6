#include "prm_score/model/mlp.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(Mlp, GatesTheUpProjectionWithSilu) {
  // x = 2: gate = 1, up = 3 x + 0.5 = 6.5, silu(1) = 0.7310586; 4 * 0.7310586 * 6.5 = 19.0075231
  LayerWeights layer;
  layer.gate_up_proj = {.weight = at::tensor({0.5f, 3.0f}).view({2, 1}), .bias = at::tensor({0.0f, 0.5f})};
  layer.down_proj = {.weight = at::tensor({4.0f}).view({1, 1}), .bias = at::Tensor()};
  EXPECT_FLOAT_EQ(mlp(at::tensor({2.0f}).view({1, 1}), layer).item().toFloat(), 19.0075231f);
}

}  // namespace
}  // namespace prm_score
