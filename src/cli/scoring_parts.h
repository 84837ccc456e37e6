// scoring_parts.h - what the commands that score share. Private to the cli layer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "prm_score/cli/options.h"
#include "prm_score/cli/stop_signals.h"
#include "prm_score/io/metadata.h"
#include "prm_score/score/scorer.h"

namespace prm_score {

// What is known once the checkpoint is open; also told to the user.
void describe_checkpoint(Metadata& metadata, const ScorerOptions& options, const Scorer& scorer);

// A whole command that writes rows: its exit code, after the metadata is where it is wanted. What `run` throws is told
// to the user and stands in the metadata. Throws UsageError if a file would be written over another, Error if the
// metadata cannot be written.
[[nodiscard]] int run_with_metadata(const Options& options, const std::vector<std::string>& command_line,
                                    const StopSignals& stop, const std::function<int(Metadata&)>& run);

}  // namespace prm_score
