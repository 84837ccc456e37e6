#include "prm_score/score/pair_reward.h"

#include <cmath>
#include <string>
#include <string_view>

namespace prm_score {
namespace {

std::string error_of(std::string_view side, std::string_view error) {
  constexpr std::string_view kText = "text: ";
  if (error.starts_with(kText)) error.remove_prefix(kText.size());
  return std::string(side) + ": " + std::string(error);
}

// Without overflow on either side.
double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

}  // namespace

PairReward make_pair_reward(const DocumentReward& chosen, const DocumentReward& rejected) {
  PairReward pair;
  if (!chosen.error.empty() || !rejected.error.empty()) {
    pair.error = chosen.error.empty() ? error_of("rejected", rejected.error) : error_of("chosen", chosen.error);
    return pair;
  }
  pair.reward_chosen = chosen.reward;
  pair.reward_rejected = rejected.reward;
  pair.margin = *chosen.reward - *rejected.reward;
  pair.probability = sigmoid(*pair.margin);
  pair.warnings = {.special_tokens = chosen.warnings.special_tokens || rejected.warnings.special_tokens,
                   .template_markers = chosen.warnings.template_markers || rejected.warnings.template_markers,
                   .context_cut = chosen.warnings.context_cut || rejected.warnings.context_cut};
  return pair;
}

}  // namespace prm_score
