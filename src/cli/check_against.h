// check_against.h - `prm-score check --against`. Private to the cli layer.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "prm_score/cli/options.h"
#include "prm_score/cli/stop_signals.h"
#include "prm_score/io/metadata.h"

namespace prm_score {

// Throws UsageError if `files`, the run's input, are not regular files: they are to be read twice.
void expect_rereadable(const std::vector<std::string>& files);

// Scores the documents in the run's own precision and in options.against, one after the other, and prints how far the
// rewards are from each other. Returns 0, kSomeRowsAreBad if lines had to be left out, or the code of a run that was
// stopped. Throws Error if there is no document that can be scored, or the files change in between.
[[nodiscard]] int check_against(const Options& options, StopSignals& stop, std::chrono::steady_clock::time_point start,
                                Metadata& metadata);

}  // namespace prm_score
