// scorer_options.h - options of the program to those of the library.
#pragma once

#include "prm_score/cli/options.h"
#include "prm_score/score/scorer.h"

namespace prm_score {

// Looks for the checkpoint; throws Error if there is none. `warn` is the caller's to set.
[[nodiscard]] ScorerOptions scorer_options(const Options& options);

}  // namespace prm_score
