#include "prm_score/score/reward.h"

#include <cassert>

namespace prm_score {

std::optional<double> mean_log_odds(std::span<const std::optional<float>> log_odds, std::span<const Chunk> chunks,
                                    LastChunk last_chunk) {
  assert(log_odds.size() == chunks.size());
  double weighted_sum = 0.0;
  double weight_sum = 0.0;
  for (size_t i = 0; i < log_odds.size(); ++i) {
    if (!log_odds[i]) continue;
    const double weight = last_chunk == LastChunk::kWeight ? static_cast<double>(chunks[i].end - chunks[i].begin) : 1.0;
    weighted_sum += weight * static_cast<double>(*log_odds[i]);
    weight_sum += weight;
  }
  if (weight_sum == 0.0) return std::nullopt;
  return weighted_sum / weight_sum;
}

}  // namespace prm_score
