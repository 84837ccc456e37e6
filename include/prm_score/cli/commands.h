// commands.h - what the program does, command by command.
#pragma once

#include <string>
#include <vector>

#include "prm_score/cli/options.h"
#include "prm_score/cli/stop_signals.h"

namespace prm_score {

// Each returns the exit code of the program and throws Error, or ClosedPipe, if the run stops. Results go to standard
// output, messages to standard error.

// Scores documents. Errors are reported here, so that the metadata can hold them: only those before the run are thrown.
[[nodiscard]] int run_score(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop);

// Scores preference pairs; the accuracy goes to the log and into the metadata. Errors as run_score().
[[nodiscard]] int run_pairs(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop);

// Scores documents and compares what comes with a golden, or writes the golden. Ends with 0, 1 (moved) or 4 (could not
// run); throws UsageError only.
[[nodiscard]] int run_check(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop);

// Writes the prompts of documents; needs of the checkpoint only tokenizer and config.json.
[[nodiscard]] int run_prompts(const Options& options, StopSignals& stop);

// Makes one HTML file of rows. Needs no checkpoint.
[[nodiscard]] int run_report(const Options& options, const StopSignals& stop);

// Scores documents and writes them for people, every chunk behind its log-odds and, in colour, shaded by it.
[[nodiscard]] int run_show(const Options& options, StopSignals& stop);

// Puts the outputs of all shards together. Needs no checkpoint.
[[nodiscard]] int run_merge(const Options& options, StopSignals& stop);

// Makes a quantised checkpoint.
[[nodiscard]] int run_quantize(const Options& options, StopSignals& stop);

// Says what a checkpoint is; reads no weights, only where and of which dtype they are.
[[nodiscard]] int run_info(const Options& options);

// The one that `options.command` names.
[[nodiscard]] int run_command(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop);

// What --version prints: this program's version and libtorch's.
[[nodiscard]] std::string version_text();

}  // namespace prm_score
