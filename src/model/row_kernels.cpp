// Compiled with -O3 -ffp-contract=off (src/CMakeLists.txt); the loops are written so that the compiler turns them into
// vector instructions, of the widest kind that the processor has.
#include "prm_score/model/row_kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>

#include "vectorised.h"

namespace prm_score {
namespace {

using BFloat16 = c10::BFloat16;
using Lanes = std::array<float, kLanes>;

PRM_SCORE_INLINED float load(const float* from) { return *from; }
PRM_SCORE_INLINED float load(const BFloat16* from) {
  return std::bit_cast<float>(static_cast<uint32_t>(from->x) << 16);
}
PRM_SCORE_INLINED void store(float value, float* to) { *to = value; }

// To the nearest, ties to even. A nan stays one.
PRM_SCORE_INLINED void store(float value, BFloat16* to) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  to->x = static_cast<uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? 0x7fc0U : rounded);
}

PRM_SCORE_INLINED float sum_of(const Lanes& lanes) {
  Lanes sums = lanes;
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) sums[i] += sums[i + width];
  }
  return sums[0];
}

// Sum of term(i) for i from 0 to size - 1.
template <typename Term>
PRM_SCORE_INLINED float lane_sum(int64_t size, Term term) {
  Lanes lanes = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  for (int64_t lane = 0; i + lane < size; ++lane) lanes[lane] += term(i + lane);
  return sum_of(lanes);
}

// e^x = 2^n e^r with n = round(x / ln 2); ln 2 in two parts, so that r is exact; e^r by its Taylor series, |r| < 0.35.
PRM_SCORE_INLINED float exp_of(float x) {
  constexpr float kLog2E = 1.44269504F, kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  constexpr float kLowest = -87.0F, kHighest = 88.0F;
  x = x < kLowest ? kLowest : x;
  x = x > kHighest ? kHighest : x;
  const float shifted = x * kLog2E + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  // The low bits of `shifted` hold n; for a nan they hold anything, and p is a nan.
  const uint32_t exponent = (std::bit_cast<uint32_t>(shifted) + 127U) << 23;
  return p * std::bit_cast<float>(exponent);
}

template <typename From, typename To>
PRM_SCORE_INLINED void rms_norm(const From* row, const float* weight, int64_t size, float eps, To* out) {
  const float sum = lane_sum(size, [&](int64_t i) { return load(row + i) * load(row + i); });
  const float scale = 1.0F / std::sqrt(sum / static_cast<float>(size) + eps);
  for (int64_t i = 0; i < size; ++i) store(load(row + i) * scale * weight[i], out + i);
}

template <typename T>
PRM_SCORE_INLINED void rotate(T* head, const float* cos, const float* sin, int64_t half) {
  for (int64_t i = 0; i < half; ++i) {
    const float first = load(head + i), second = load(head + half + i);
    store(first * cos[i] - second * sin[i], head + i);
    store(second * cos[i] + first * sin[i], head + half + i);
  }
}

template <typename T>
PRM_SCORE_INLINED void silu_multiply(const T* gate, const T* up, int64_t size, T* out) {
  for (int64_t i = 0; i < size; ++i) {
    const float x = load(gate + i);
    store(x / (1.0F + exp_of(-x)) * load(up + i), out + i);
  }
}

template <typename T>
PRM_SCORE_INLINED void add(const T* row, int64_t size, float* sum) {
  for (int64_t i = 0; i < size; ++i) sum[i] += load(row + i);
}

template <typename From, typename To>
PRM_SCORE_INLINED void scale(const From* from, float factor, int64_t size, To* to) {
  for (int64_t i = 0; i < size; ++i) store(load(from + i) * factor, to + i);
}

}  // namespace

PRM_SCORE_VECTORISED void rms_norm_row(const float* row, const float* weight, int64_t size, float eps, float* out) {
  rms_norm(row, weight, size, eps, out);
}
PRM_SCORE_VECTORISED void rms_norm_row(const float* row, const float* weight, int64_t size, float eps, BFloat16* out) {
  rms_norm(row, weight, size, eps, out);
}
PRM_SCORE_VECTORISED void rms_norm_row(const BFloat16* row, const float* weight, int64_t size, float eps,
                                       BFloat16* out) {
  rms_norm(row, weight, size, eps, out);
}

PRM_SCORE_VECTORISED void rotate_head(float* head, const float* cos, const float* sin, int64_t half) {
  rotate(head, cos, sin, half);
}
PRM_SCORE_VECTORISED void rotate_head(BFloat16* head, const float* cos, const float* sin, int64_t half) {
  rotate(head, cos, sin, half);
}

PRM_SCORE_VECTORISED void silu_multiply_row(const float* gate, const float* up, int64_t size, float* out) {
  silu_multiply(gate, up, size, out);
}
PRM_SCORE_VECTORISED void silu_multiply_row(const BFloat16* gate, const BFloat16* up, int64_t size, BFloat16* out) {
  silu_multiply(gate, up, size, out);
}

PRM_SCORE_VECTORISED void add_row(const float* row, int64_t size, float* sum) { add(row, size, sum); }
PRM_SCORE_VECTORISED void add_row(const BFloat16* row, int64_t size, float* sum) { add(row, size, sum); }

PRM_SCORE_VECTORISED void scale_row(const float* from, float factor, int64_t size, float* to) {
  scale(from, factor, size, to);
}
PRM_SCORE_VECTORISED void scale_row(const BFloat16* from, float factor, int64_t size, float* to) {
  scale(from, factor, size, to);
}
PRM_SCORE_VECTORISED void scale_row(const float* from, float factor, int64_t size, BFloat16* to) {
  scale(from, factor, size, to);
}

PRM_SCORE_VECTORISED bool weigh_columns(const ColumnSoftmax& softmax, float* scores, int64_t num_rows, float* factors) {
  const int64_t num_columns = softmax.num_columns;
  assert(num_columns <= ColumnSoftmax::kMostColumns);
  const int32_t* num_visible = softmax.num_visible;
  float max[ColumnSoftmax::kMostColumns], sum[ColumnSoftmax::kMostColumns] = {};
  std::copy_n(softmax.max, num_columns, max);
  for (int64_t row = 0; row < num_rows; ++row) {
    const float* score = scores + row * num_columns;
    const auto index = static_cast<int32_t>(row);
    for (int64_t i = 0; i < num_columns; ++i) {
      const float seen = index < num_visible[i] ? score[i] : max[i];
      max[i] = seen > max[i] ? seen : max[i];
    }
  }
  for (int64_t row = 0; row < num_rows; ++row) {
    float* score = scores + row * num_columns;
    const auto index = static_cast<int32_t>(row);
    for (int64_t i = 0; i < num_columns; ++i) {
      const float weight = exp_of(score[i] - max[i]);
      score[i] = index < num_visible[i] ? weight : 0.0F;
      sum[i] += score[i];
    }
  }
  bool is_moved = false;
  for (int64_t i = 0; i < num_columns; ++i) {
    factors[i] = exp_of(softmax.max[i] - max[i]);
    is_moved |= factors[i] != 1.0F;
    softmax.sum[i] = softmax.sum[i] * factors[i] + sum[i];
    softmax.max[i] = max[i];
  }
  return is_moved;
}

PRM_SCORE_VECTORISED void scale_columns(const float* factors, int64_t num_columns, int64_t num_rows, float* numbers) {
  for (int64_t row = 0; row < num_rows; ++row) {
    for (int64_t i = 0; i < num_columns; ++i) numbers[row * num_columns + i] *= factors[i];
  }
}

PRM_SCORE_VECTORISED float dot(const float* a, const float* b, int64_t size) {
  return lane_sum(size, [&](int64_t i) { return a[i] * b[i]; });
}

}  // namespace prm_score
