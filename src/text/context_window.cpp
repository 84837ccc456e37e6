#include "prm_score/text/context_window.h"

#include <algorithm>

namespace prm_score {

ContextWindow::ContextWindow(int64_t num_field_tokens, int64_t chunk_size, int64_t max_context)
    : num_field_tokens_(num_field_tokens),
      chunk_size_(chunk_size),
      max_context_(max_context),
      num_field_units_(num_field_tokens / chunk_size + (num_field_tokens % chunk_size != 0 ? 1 : 0)) {}

int64_t ContextWindow::field_begin() const {
  return begin_unit_ >= num_field_units_ ? num_field_tokens_ : begin_unit_ * chunk_size_;
}

int64_t ContextWindow::ids_begin() const { return std::max<int64_t>(0, begin_unit_ - num_field_units_) * chunk_size_; }

int64_t ContextWindow::num_ids(int64_t chunk_begin) const { return std::max<int64_t>(0, chunk_begin - ids_begin()); }

int64_t ContextWindow::num_tokens(int64_t chunk_begin) const {
  return (num_field_tokens_ - field_begin()) + num_ids(chunk_begin);
}

void ContextWindow::move_on() { begin_unit_ += std::max<int64_t>(1, max_context_ / 2 / chunk_size_); }

}  // namespace prm_score
