// What the promise of same bits stands on: a row's product is the same wherever the row lies in its block, whatever the
// other rows are, and whichever thread computes it. At the sizes of real models, too.
#include "prm_score/model/cpu_step_model.h"

#include <cstring>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "prm_score/model/linear.h"

namespace prm_score {
namespace {

constexpr int64_t kRows = CpuStepModel::kBlockRows;

struct Product {
  int64_t num_inputs, num_outputs;
  at::ScalarType dtype;
};

bool same_row(const at::Tensor& a, int64_t row_a, const at::Tensor& b, int64_t row_b) {
  const auto size = static_cast<size_t>(a.size(1) * a.element_size());
  return std::memcmp(a[row_a].const_data_ptr(), b[row_b].const_data_ptr(), size) == 0;
}

class BlockProductTest : public ::testing::TestWithParam<Product> {};

TEST_P(BlockProductTest, ARowIsTheSameAtEveryPlace) {
  const auto [num_inputs, num_outputs, dtype] = GetParam();
  const at::TensorOptions options(dtype);
  const Linear linear = {.weight = at::randn({num_outputs, num_inputs}).to(dtype), .bias = {}};
  const at::Tensor rows = at::randn({kRows, num_inputs}).to(dtype);
  at::Tensor plain = at::empty({kRows, num_outputs}, options), moved = at::empty({kRows, num_outputs}, options);
  apply_in_place(linear, rows, plain);
  for (const int64_t shift : {1, 17, 64, 127}) {
    apply_in_place(linear, rows.roll({shift}, {0}), moved);
    for (int64_t i = 0; i < kRows; ++i)
      ASSERT_TRUE(same_row(plain, i, moved, (i + shift) % kRows)) << i << " " << shift;
  }
  at::Tensor spoilt = rows.clone();
  spoilt.narrow(0, kRows / 2, kRows / 2).fill_(std::numeric_limits<float>::quiet_NaN());
  apply_in_place(linear, spoilt, moved);
  for (int64_t i = 0; i < kRows / 2; ++i) ASSERT_TRUE(same_row(plain, i, moved, i)) << i;
}

INSTANTIATE_TEST_SUITE_P(Shapes, BlockProductTest,
                         ::testing::Values(Product{896, 1152, at::kFloat}, Product{4864, 896, at::kFloat},
                                           Product{896, 2048, at::kFloat}, Product{173, 112, at::kFloat},
                                           Product{112, 346, at::kFloat}, Product{256, 1408, at::kFloat},
                                           Product{3584, 512, at::kFloat}, Product{896, 1152, at::kBFloat16},
                                           Product{4864, 896, at::kBFloat16}, Product{173, 112, at::kBFloat16},
                                           Product{112, 346, at::kBFloat16}, Product{256, 1408, at::kBFloat16}));

// Without OpenMP's flag libtorch's parallel loops run on one thread and nobody notices.
TEST(ParallelTest, TasksRunOnSeveralThreads) {
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  at::parallel_for(0, 3, 1, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  at::set_num_threads(before);
  EXPECT_EQ(threads.size(), 3u);
}

}  // namespace
}  // namespace prm_score
