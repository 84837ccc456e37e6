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

[[nodiscard]] ScorerOptions scorer_options(const Options& options);

[[nodiscard]] Metadata metadata_before_run(const Options& options, const std::vector<std::string>& command_line);

// What is known once the checkpoint is open; also told to the user.
void describe_checkpoint(Metadata& metadata, const ScorerOptions& options, const Scorer& scorer);

// The exit code of `run`, or of what it throws; what stopped it goes to the user and into `stopped_by`.
[[nodiscard]] int run_to_exit_code(const std::function<int()>& run, const StopSignals& stop, std::string& stopped_by);

// Throws UsageError if a file would be written over another, Error if the metadata cannot be written at all.
void check_written_files(const Options& options);

// Completes the metadata and writes it where it is wanted. Throws Error.
void write_metadata(Metadata& metadata, const Options& options, const StopSignals& stop,
                    std::chrono::steady_clock::time_point start);

}  // namespace prm_score
