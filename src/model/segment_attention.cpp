#include "prm_score/model/segment_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "vectorised.h"
#include <c10/util/BFloat16.h>

#include "prm_score/model/panel_products.h"
#include "prm_score/model/row_kernels.h"

namespace prm_score {
namespace {

static_assert(kPanelWidth <= ColumnSoftmax::kMostColumns);

// Keys of a block: their scores with a panel of queries take 32 kilobytes.
constexpr int64_t kBlockKeys = 128;

// Every head of every query is a column, in panels of kPanelWidth; the last one is filled up with columns that see
// nothing.
template <typename T>
class Attention {
 public:
  Attention(const QueryRows<T>& rows, int64_t head_dim, AttentionScratch& scratch)
      : rows_(rows),
        head_dim_(head_dim),
        num_columns_(rows.num_rows * rows.num_heads),
        num_padded_(rounded_up(num_columns_, kPanelLanes)),
        scratch_(scratch) {
    scratch_.queries.assign(num_padded_ * head_dim, 0.0F);
    scratch_.scores.resize(kBlockKeys * kPanelWidth);
    scratch_.sums.assign(num_padded_ * head_dim, 0.0F);
    scratch_.max.assign(num_padded_, std::numeric_limits<float>::lowest());
    scratch_.sum.assign(num_padded_, 0.0F);
    scratch_.factors.resize(kPanelWidth);
    scratch_.row.resize(head_dim);
    scratch_.num_visible.resize(kPanelWidth);
    const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
    for (int64_t column = 0; column < num_columns_; ++column) {
      scale_row(query(column), scale, head_dim, scratch_.row.data());
      const Place panel = panel_of(column);
      float* to = scratch_.queries.data() + panel.offset + column % kPanelWidth;
      for (int64_t i = 0; i < head_dim; ++i) to[i * panel.width] = scratch_.row[i];
    }
  }

  // `visible(i)`: how many of `keys` query i sees; not fewer for a later one.
  template <typename Visible>
  void see(const KeyValueRows<T>& keys, Visible visible) {
    const int64_t num_keys = std::min(keys.num_rows, visible(rows_.num_rows - 1));
    for (int64_t begin = 0; begin < num_keys; begin += kBlockKeys) {
      const int64_t size = std::min(kBlockKeys, num_keys - begin);
      const auto block_keys = float32_rows(keys.keys + begin * keys.row_stride, keys.row_stride, size, scratch_.keys);
      const auto values = float32_rows(keys.values + begin * keys.row_stride, keys.row_stride, size, scratch_.values);
      for (int64_t column = 0; column < num_columns_; column += kPanelWidth) {
        const auto num_seen = [&](int64_t i) {
          return i < num_columns_ ? std::clamp<int64_t>(visible(i / rows_.num_heads) - begin, 0, size) : 0;
        };
        see_block(column, block_keys, values, num_seen);
      }
    }
  }

  void write() const {
    for (int64_t column = 0; column < num_columns_; ++column) {
      const Place panel = panel_of(column);
      const float* from = scratch_.sums.data() + panel.offset + column % kPanelWidth;
      for (int64_t i = 0; i < head_dim_; ++i) scratch_.row[i] = from[i * panel.width];
      scale_row(scratch_.row.data(), 1.0F / sum_of_weights(column), head_dim_,
                rows_.out + column / rows_.num_heads * rows_.out_stride + column % rows_.num_heads * head_dim_);
    }
  }

 private:
  struct Float32Rows {
    const float* data;
    int64_t row_stride;
  };

  // Where a panel [head_dim, width] lies in memory that has all.
  struct Place {
    int64_t offset, width;
  };

  [[nodiscard]] Place panel_of(int64_t column) const {
    const int64_t first = column / kPanelWidth * kPanelWidth;
    return {.offset = first * head_dim_, .width = std::min(kPanelWidth, num_padded_ - first)};
  }

  [[nodiscard]] const T* query(int64_t column) const {
    return rows_.queries + column / rows_.num_heads * rows_.query_stride + column % rows_.num_heads * head_dim_;
  }

  // nan if all scores were -inf, as in the reference.
  [[nodiscard]] float sum_of_weights(int64_t column) const {
    const bool has_score = scratch_.max[column] > std::numeric_limits<float>::lowest();
    return has_score ? scratch_.sum[column] : std::numeric_limits<float>::quiet_NaN();
  }

  // The rows as float32: themselves, or converted into `buffer`.
  Float32Rows float32_rows(const T* rows, int64_t row_stride, int64_t num_rows, std::vector<float>& buffer) const {
    if constexpr (std::is_same_v<T, float>) {
      return {rows, row_stride};
    } else {
      const int64_t stride = spread_stride(head_dim_, sizeof(float));
      buffer.resize(kBlockKeys * stride);
      for (int64_t i = 0; i < num_rows; ++i) {
        scale_row(rows + i * row_stride, 1.0F, head_dim_, buffer.data() + i * stride);
      }
      return {buffer.data(), stride};
    }
  }

  // The panel whose first column is `first`. `num_seen(i)`: how many of the block's keys column i sees.
  template <typename NumSeen>
  void see_block(int64_t first, const Float32Rows& keys, const Float32Rows& values, NumSeen num_seen) {
    const auto [offset, width] = panel_of(first);
    for (int64_t i = 0; i < width; ++i) scratch_.num_visible[i] = static_cast<int32_t>(num_seen(first + i));
    const int64_t num_keys = num_seen(std::min(first + width, num_columns_) - 1);
    if (num_keys == 0) return;
    float* const scores = scratch_.scores.data();  // [num_keys, width]
    float* const sums = scratch_.sums.data() + offset;
    multiply_panel({.data = keys.data,
                    .row_stride = keys.row_stride,
                    .column_stride = 1,
                    .num_rows = num_keys,
                    .num_columns = head_dim_},
                   {.data = scratch_.queries.data() + offset, .width = width}, /*add=*/false, scores);
    const ColumnSoftmax softmax = {.num_columns = width,
                                   .num_visible = scratch_.num_visible.data(),
                                   .max = scratch_.max.data() + first,
                                   .sum = scratch_.sum.data() + first};
    if (weigh_columns(softmax, scores, num_keys, scratch_.factors.data())) {
      scale_columns(scratch_.factors.data(), width, head_dim_, sums);
    }
    multiply_panel({.data = values.data,
                    .row_stride = 1,
                    .column_stride = values.row_stride,
                    .num_rows = head_dim_,
                    .num_columns = num_keys},
                   {.data = scores, .width = width}, /*add=*/true, sums);
  }

  const QueryRows<T>& rows_;
  int64_t head_dim_;
  int64_t num_columns_, num_padded_;
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
