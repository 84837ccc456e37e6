#include "prm_score/model/segment_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "blas.h"
#include <c10/util/BFloat16.h>

#include "prm_score/model/row_kernels.h"

namespace prm_score {
namespace {

// Keys of a block: scores of a tile of 64 queries on 8 heads take half a megabyte, and stay in the second-level cache.
constexpr int64_t kBlockKeys = 256;

template <typename T>
class Attention {
 public:
  Attention(const QueryRows<T>& rows, int64_t head_dim, AttentionScratch& scratch)
      : rows_(rows), head_dim_(head_dim), num_scores_(rows.num_rows * rows.num_heads), scratch_(scratch) {
    const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
    scratch_.queries.resize(num_scores_ * head_dim);
    scratch_.scores.resize(num_scores_ * kBlockKeys);
    scratch_.sums.assign(num_scores_ * head_dim, 0.0F);
    scratch_.row_max.assign(num_scores_, -std::numeric_limits<float>::infinity());
    scratch_.row_sum.assign(num_scores_, 0.0F);
    for (int64_t i = 0; i < rows.num_rows; ++i) {  // the heads of a row lie beside each other
      scale_row(rows.queries + i * rows.query_stride, scale, rows.num_heads * head_dim,
                scratch_.queries.data() + i * rows.num_heads * head_dim);
    }
  }

  // `visible(i)`: how many of `keys` query i sees; not fewer for a later one.
  template <typename Visible>
  void see(const KeyValueRows<T>& keys, Visible visible) {
    const int64_t num_keys = std::min(keys.num_rows, visible(rows_.num_rows - 1));
    for (int64_t begin = 0; begin < num_keys; begin += kBlockKeys) {
      const int64_t size = std::min(kBlockKeys, num_keys - begin);
      see_block({.keys = keys.keys + begin * keys.row_stride,
                 .values = keys.values + begin * keys.row_stride,
                 .row_stride = keys.row_stride,
                 .num_rows = size},
                [&](int64_t i) { return std::clamp<int64_t>(visible(i) - begin, 0, size); });
    }
  }

  void write() const {
    for (int64_t i = 0; i < rows_.num_rows; ++i) {
      for (int64_t j = 0; j < rows_.num_heads; ++j) {
        const int64_t k = i * rows_.num_heads + j;
        scale_row(scratch_.sums.data() + k * head_dim_, 1.0F / scratch_.row_sum[k], head_dim_,
                  rows_.out + i * rows_.out_stride + j * head_dim_);
      }
    }
  }

 private:
  struct Float32Rows {
    const float* data;
    int64_t row_stride;
  };

  // The rows as float32: themselves, or converted into `buffer`.
  Float32Rows float32_rows(const T* rows, int64_t row_stride, int64_t num_rows,
                           AttentionScratch::Floats& buffer) const {
    if constexpr (std::is_same_v<T, float>) {
      return {rows, row_stride};
    } else {
      buffer.resize(kBlockKeys * head_dim_);
      for (int64_t i = 0; i < num_rows; ++i) {
        scale_row(rows + i * row_stride, 1.0F, head_dim_, buffer.data() + i * head_dim_);
      }
      return {buffer.data(), head_dim_};
    }
  }

  template <typename Visible>
  void see_block(const KeyValueRows<T>& block, Visible visible) {
    const auto keys = float32_rows(block.keys, block.row_stride, block.num_rows, scratch_.keys);
    const auto values = float32_rows(block.values, block.row_stride, block.num_rows, scratch_.values);
    float* scores = scratch_.scores.data();  // [num_scores, block.num_rows]
    // scores = queries keys^T
    multiply({.data = scratch_.queries.data(), .num_rows = num_scores_, .num_columns = head_dim_, .stride = head_dim_},
             {.data = keys.data, .num_rows = block.num_rows, .num_columns = head_dim_, .stride = keys.row_stride},
             /*transpose_right=*/true, /*add=*/false, scores, block.num_rows);
    for (int64_t k = 0; k < num_scores_; ++k) {
      weigh(scores + k * block.num_rows, visible(k / rows_.num_heads), block.num_rows, k);
    }
    // sums += weights values
    multiply({.data = scores, .num_rows = num_scores_, .num_columns = block.num_rows, .stride = block.num_rows},
             {.data = values.data, .num_rows = block.num_rows, .num_columns = head_dim_, .stride = values.row_stride},
             /*transpose_right=*/false, /*add=*/true, scratch_.sums.data(), head_dim_);
  }

  // Scores to weights under the running maximum; what was summed under the old one is scaled down to the new one.
  void weigh(float* scores, int64_t num_visible, int64_t num_keys, int64_t k) {
    std::fill(scores + num_visible, scores + num_keys, 0.0F);
    if (num_visible == 0) return;
    float& row_max = scratch_.row_max[k];
    const float new_max = std::max(row_max, max_of_row(scores, num_visible));
    if (new_max > row_max && scratch_.row_sum[k] != 0.0F) {
      const float factor = std::exp(row_max - new_max);
      float* sums = scratch_.sums.data() + k * head_dim_;
      scale_row(sums, factor, head_dim_, sums);
      scratch_.row_sum[k] *= factor;
    }
    row_max = new_max;
    scratch_.row_sum[k] += exp_row(scores, num_visible, new_max);
  }

  const QueryRows<T>& rows_;
  int64_t head_dim_;
  int64_t num_scores_;  // rows of the score matrix: queries times heads
  AttentionScratch& scratch_;
};

}  // namespace

template <typename T>
void attend(const QueryRows<T>& rows, const KeyValueRows<T>& shared, const KeyValueRows<T>& own, int64_t own_visible,
            int64_t head_dim, AttentionScratch& scratch) {
  Attention<T> attention(rows, head_dim, scratch);
  attention.see(shared, [&](int64_t /*query*/) { return shared.num_rows; });
  attention.see(own, [&](int64_t query) { return own_visible + query; });
  attention.write();
}

template void attend(const QueryRows<float>&, const KeyValueRows<float>&, const KeyValueRows<float>&, int64_t, int64_t,
                     AttentionScratch&);
template void attend(const QueryRows<c10::BFloat16>&, const KeyValueRows<c10::BFloat16>&,
                     const KeyValueRows<c10::BFloat16>&, int64_t, int64_t, AttentionScratch&);

}  // namespace prm_score
