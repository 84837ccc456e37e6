// Compiled with -O3 -ffp-contract=fast (src/CMakeLists.txt): a product that is added is one instruction, which
// panel_products_test.cpp holds the compiler to.
#include "prm_score/model/panel_products.h"

#include <cassert>
#include <cstring>

#include "vectorised.h"

namespace prm_score {
namespace {

// A vector of so many bytes. (An attribute that depends on a template's argument is passed over by the compiler.)
template <int kBytes>
struct Vector;
template <>
struct Vector<16> {
  using Lanes = float __attribute__((vector_size(16)));
};
template <>
struct Vector<32> {
  using Lanes = float __attribute__((vector_size(32)));
};
template <>
struct Vector<64> {
  using Lanes = float __attribute__((vector_size(64)));
};

struct Product {
  const StridedMatrix& left;
  const Panel& panel;
  bool add;
  float* out;
};

// kRows rows of `left` from `row` on, times kVectors vectors of columns from `column` on. The sums stay in registers.
template <int kBytes, int kRows, int kVectors>
PRM_SCORE_INLINED void multiply_tile(const Product& product, int64_t row, int64_t column) {
  const auto& [left, panel, add, out] = product;
  using Lanes = typename Vector<kBytes>::Lanes;
  constexpr int64_t kLanes = kBytes / sizeof(float);
  Lanes sums[kRows][kVectors] = {};
  for (int64_t k = 0; k < left.num_columns; ++k) {
    const float* const factors = left.data + row * left.row_stride + k * left.column_stride;
    const float* const terms = panel.data + k * panel.width + column;
    Lanes right[kVectors];
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) std::memcpy(&right[v], terms + v * kLanes, sizeof right[v]);
#pragma GCC unroll 8
    for (int64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int64_t v = 0; v < kVectors; ++v) sums[r][v] += factors[r * left.row_stride] * right[v];
    }
  }
#pragma GCC unroll 8
  for (int64_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      float* const to = out + (row + r) * panel.width + column + v * kLanes;
      Lanes before = {};
      if (add) std::memcpy(&before, to, sizeof before);
      const Lanes sum = before + sums[r][v];
      std::memcpy(to, &sum, sizeof sum);
    }
  }
}

template <int kBytes, int kVectors>
PRM_SCORE_INLINED void multiply_columns(const Product& product, int64_t column) {
  constexpr int kRows = kBytes == 64 && kVectors <= 2 ? 8 : 4;  // as many sums as it takes to keep the adders busy
  int64_t row = 0;
  for (; row + kRows <= product.left.num_rows; row += kRows) {
    multiply_tile<kBytes, kRows, kVectors>(product, row, column);
  }
  for (; row < product.left.num_rows; ++row) multiply_tile<kBytes, 1, kVectors>(product, row, column);
}

__attribute__((target("avx512f"))) void multiply_avx512(const Product& product) {
  constexpr int kBytes = 64;
  switch (product.panel.width / kPanelLanes) {
    case 1:
      return multiply_columns<kBytes, 1>(product, 0);
    case 2:
      return multiply_columns<kBytes, 2>(product, 0);
    case 3:
      return multiply_columns<kBytes, 3>(product, 0);
    default:
      return multiply_columns<kBytes, 4>(product, 0);
  }
}

__attribute__((target("avx2,fma"))) void multiply_avx2(const Product& product) {
  constexpr int64_t kColumns = 16;
  for (int64_t column = 0; column < product.panel.width; column += kColumns) multiply_columns<32, 2>(product, column);
}

void multiply_portable(const Product& product) {
  constexpr int64_t kColumns = 8;
  for (int64_t column = 0; column < product.panel.width; column += kColumns) multiply_columns<16, 2>(product, column);
}

std::vector<PanelInstructions> find_instructions() {
  std::vector<PanelInstructions> found = {PanelInstructions::kPortable};
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) {
    found.push_back(PanelInstructions::kAvx2);
    if (__builtin_cpu_supports("avx512f") != 0) found.push_back(PanelInstructions::kAvx512);
  }
  return found;
}

}  // namespace

const std::vector<PanelInstructions>& panel_instructions() {
  static const std::vector<PanelInstructions> found = find_instructions();
  return found;
}

void multiply_panel(const StridedMatrix& left, const Panel& panel, bool add, float* out,
                    PanelInstructions instructions) {
  assert(panel.width > 0 && panel.width <= kPanelWidth && panel.width % kPanelLanes == 0);
  const Product product = {left, panel, add, out};
  switch (instructions) {
    case PanelInstructions::kPortable:
      return multiply_portable(product);
    case PanelInstructions::kAvx2:
      return multiply_avx2(product);
    case PanelInstructions::kAvx512:
      return multiply_avx512(product);
  }
}

}  // namespace prm_score
