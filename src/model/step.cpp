#include "prm_score/model/step.h"

#include <algorithm>

#include <ATen/ops/empty.h>

namespace prm_score {

TrunkCache::TrunkCache(const ModelConfig& config, int64_t num_rows, int64_t row_stride,
                       const at::TensorOptions& options)
    : num_rows_(num_rows), row_stride_(row_stride) {
  const at::Tensor all =
      at::empty({config.num_hidden_layers, 2, num_rows, row_stride}, options).narrow(3, 0, config.key_value_size());
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    keys_.push_back(all.select(0, layer).select(0, 0));
    values_.push_back(all.select(0, layer).select(0, 1));
  }
}

int64_t Step::num_positions() const {
  int64_t result = 0;
  for (const Segment& segment : segments) result = std::max(result, segment.num_shared + segment.num_rows());
  return result;
}

}  // namespace prm_score
