// pair_reward.h - from the rewards of two texts to how much one is preferred.
#pragma once

#include "prm_score/text/document.h"

namespace prm_score {

// `chosen`, `rejected`: of the same pair. Bad if one of them is: its error is then the pair's, with `chosen` or
// `rejected` in the place of `text`. Pure.
[[nodiscard]] PairReward make_pair_reward(const DocumentReward& chosen, const DocumentReward& rejected);

}  // namespace prm_score
