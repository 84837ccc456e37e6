#include "prm_score/model/step.h"

#include <algorithm>

#include <ATen/ops/empty.h>

namespace prm_score {

TrunkCache::TrunkCache(const ModelConfig& config, int64_t num_rows, const at::TensorOptions& options)
    : num_rows_(num_rows) {
  const at::Tensor all = at::empty({config.num_hidden_layers, 2, num_rows, config.key_value_size()}, options);
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
