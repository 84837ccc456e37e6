#include <string>
#include <string_view>
#include <vector>

#include "command_parts.h"
#include "written_files.h"
#include <spdlog/spdlog.h>

#include "prm_score/cli/commands.h"
#include "prm_score/error.h"
#include "prm_score/io/output_file.h"
#include "prm_score/io/shard_merge.h"
#include "prm_score/text/counted.h"

namespace prm_score {
namespace {

// Throws UsageError if there are no shards, or if one or its state would be written over.
void check_files(const Options& options) {
  if (options.files.empty()) throw UsageError("merge: expected the --output files of all shards, got none");
  std::vector<std::string> inputs;
  for (const std::string& file : options.files) {
    if (file == kStandardInput) throw UsageError("merge: expected names of files, got \"-\"");
    const auto names = OutputFile::names_of(file);
    inputs.insert(inputs.end(), names.begin(), names.end());
  }
  if (options.output.empty()) return expect_no_loop(inputs);
  for (const std::string& name : OutputFile::names_of(options.output)) expect_no_input(inputs, "--output", name);
}

int exit_code_of(const RunState& state, const Options& options) {
  return exit_code(RunEnd::kInput, state.progress.counts, options.errors_ok);
}

// Exit code of a merge whose output is there already. Throws Error if it is not that of these shards.
int report_complete(OutputFile& output, const RunState& merged, const Options& options) {
  const RunProgress &there = output.answered(), &expected = merged.progress;
  if (there.counts != expected.counts || there.num_bytes != expected.num_bytes ||
      there.input_sha256 != expected.input_sha256) {
    throw Error(options.output + ": --resume: expected the rows of these shards, found those of others");
  }
  const int recorded = output.complete();
  spdlog::info("{}: already complete, {} ({} bad), exit code {} as recorded", options.output,
               counted(there.num_rows(), "row"), there.counts.num_bad_rows, recorded);
  return recorded;
}

// Rows that are there from a merge that was killed are passed over. What is in the rows is not read: up to the last one
// the state counts how many they are, and has no hash of the input, so that no run takes them for its own.
bool merge_to_file(const ShardMerge& merge, OutputFile& output, const StopSignals& stop, int exit_code) {
  const RunProgress& whole = merge.state().progress;
  const int64_t num_there = output.answered().num_rows();
  output.begin(0, output.answered().input_sha256);
  RunCounts so_far;
  merge.for_each_row([&](std::string_view row) {
    const int64_t number = ++so_far.num_scored_rows;
    const bool is_last = number == whole.num_rows();
    if (number > num_there) output.write(row, is_last ? whole.counts : so_far, is_last ? whole.input_sha256 : "");
    return !stop.requested();
  });
  if (stop.requested()) {
    output.close();
    return false;
  }
  output.finish(whole.counts, exit_code, merge.state().input);
  return true;
}

bool merge_to_standard_output(const ShardMerge& merge, const StopSignals& stop) {
  JsonlWriter writer = standard_output(stop.fd());
  merge.for_each_row([&](std::string_view row) {
    writer.write(row);
    return !stop.requested();
  });
  if (stop.requested()) return false;
  writer.finish();
  return true;
}

int merge(const Options& options, StopSignals& stop) {
  ShardMerge merge(options.files);
  std::optional<OutputFile> output;
  if (!options.output.empty()) output.emplace(options.output, if_there(options), merge.state());
  merge.check_rows();
  if (!merge.warning().empty()) {
    spdlog::warn("merge: {}", merge.warning());
  }
  const int exit_code = exit_code_of(merge.state(), options);
  if (output && output->is_complete()) return report_complete(*output, merge.state(), options);
  stop.finish_rows();
  const bool is_done = output ? merge_to_file(merge, *output, stop, exit_code) : merge_to_standard_output(merge, stop);
  if (!is_done) {
    spdlog::info("{}", interrupted_by(stop));
    log_rows_so_far(options);
    return 128 + stop.signal_number();
  }
  const RunCounts& counts = merge.state().progress.counts;
  spdlog::info("{} rows ({} bad) of {} shards", merge.state().progress.num_rows(), counts.num_bad_rows,
               options.files.size());
  return exit_code;
}

}  // namespace

int run_merge(const Options& options, StopSignals& stop) {
  check_files(options);
  try {
    return merge(options, stop);
  } catch (const StalledOutput&) {
    return 128 + stop.signal_number();
  }
}

}  // namespace prm_score
