// command_parts.h - what the commands that read documents share. Private to the cli layer.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "prm_score/cli/bad_rows.h"
#include "prm_score/cli/options.h"
#include "prm_score/cli/pipeline.h"
#include "prm_score/cli/stop_signals.h"
#include "prm_score/io/jsonl_reader.h"
#include "prm_score/io/jsonl_writer.h"
#include "prm_score/io/output_file.h"

namespace prm_score {

// All lines if --shard is not given.
[[nodiscard]] Shard shard_of(const Options& options);

[[nodiscard]] JsonlReaderOptions reader_options(const Options& options, const StopSignals& stop);

// What --resume and --overwrite say.
[[nodiscard]] IfThere if_there(const Options& options);

// `stop_fd`: see JsonlWriter.
[[nodiscard]] JsonlWriter standard_output(int stop_fd = -1);

// Whether --max-errors ends the run here.
[[nodiscard]] bool has_enough_errors(const Options& options, const RunCounts& counts);

// What ended a run before its input did, for the user and the metadata; empty if nothing did, or a signal.
[[nodiscard]] std::string stop_reason(RunEnd end, const RunCounts& counts);

// "interrupted by SIGTERM".
[[nodiscard]] std::string interrupted_by(const StopSignals& stop);

// Of a run that did not come to its end: tells the user where the rows of --output are, and what goes on with them.
// `more_options`: what that takes beside --resume, " and ..".
void log_rows_so_far(const Options& options, const std::string& more_options = "");

struct FinishedRun {
  RunEnd end;
  const Metadata& run;
  std::string hint;          // see BadRows
  std::string warning = {};  // see KeptFields
};

// The exit code of a finished run, after telling the user how it ended. `start`: of the program.
[[nodiscard]] int finish_run(const FinishedRun& finished, const Options& options, const StopSignals& stop,
                             std::chrono::steady_clock::time_point start);

[[nodiscard]] double seconds_since(std::chrono::steady_clock::time_point start);

}  // namespace prm_score
