#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "command_parts.h"
#include "fingerprint.h"
#include "scoring_parts.h"
#include <spdlog/spdlog.h>

#include "prm_score/cli/commands.h"
#include "prm_score/cli/kept_fields.h"
#include "prm_score/cli/progress_display.h"
#include "prm_score/cli/scorer_options.h"
#include "prm_score/io/metadata.h"
#include "prm_score/io/output_file.h"
#include "prm_score/io/resume.h"
#include "prm_score/io/row.h"
#include "prm_score/score/scorer.h"
#include "prm_score/text/counted.h"

namespace prm_score {
namespace {

// Where the rows go: standard output, or the file of --output.
class RowOutput {
 public:
  // Throws Error if it cannot be written. Changes nothing yet.
  RowOutput(const Options& options, const ScorerOptions& scorer, const StopSignals& stop) {
    if (options.output.empty()) {
      stream_.emplace(standard_output(stop.fd()));
      return;
    }
    file_.emplace(options.output, if_there(options), state_of_run(options, scorer));
  }

  // What an earlier run answered; nullptr without one.
  [[nodiscard]] OutputFile* file() { return file_ ? &*file_ : nullptr; }

  void begin(const AnsweredInput& answered) {
    if (file_) file_->begin(answered.num_lines, answered.input_sha256);
  }

  void write(std::string_view row, const RunCounts& counts, const RowOrigin& origin) {
    if (file_) {
      file_->write(row, counts, origin.input_sha256);
    } else {
      stream_->write(row);
    }
  }

  // All rows are there. `exit_code`: what the run ends with.
  void finish(const RunCounts& counts, int exit_code, const InputSummary& input) {
    if (file_) {
      file_->finish(counts, exit_code, input);
    } else {
      stream_->finish();
    }
  }

  // Rows are missing.
  void close() {
    if (file_) file_->close();
  }

 private:
  std::optional<JsonlWriter> stream_;
  std::optional<OutputFile> file_;
};

// Exit code of a run whose output is already complete: that of the run that wrote it.
int report_complete(OutputFile& output, const Options& options, RunCounts& counts) {
  counts = output.answered().counts;
  const int recorded = output.complete();
  spdlog::info(
      "{}: already complete, {} ({} bad), exit code {} as recorded; the input was not read (--overwrite in place of "
      "--resume scores it again)",
      options.output, counted(output.answered().num_rows(), "row"), counts.num_bad_rows, recorded);
  return recorded;
}

// Passes over what an earlier run answered, and counts it.
AnsweredInput go_on(const OutputFile& output, JsonlReader& reader, const Options& options, RunCounts& counts) {
  AnsweredInput answered = skip_answered(reader, output);
  counts = output.answered().counts;
  counts.num_lines = answered.num_lines;
  if (!output.warning().empty()) {
    spdlog::warn("{}: --resume: {}", options.output, output.warning());
  }
  if (output.num_rows_there() > 0) {
    spdlog::info("{}: goes on after {}", options.output, counted(output.num_rows_there(), "row"));
  }
  return answered;
}

struct Run {
  const Options& options;
  StopSignals& stop;
  Metadata& metadata;
  BadRows& bad_rows;
  KeptFields& kept_fields;
};

// Scores what is left of the input.
RunEnd score_lines(const Run& run, Scorer& scorer, JsonlReader& reader, RowOutput& output) {
  const auto& [options, stop, metadata, bad_rows, kept_fields] = run;
  RunCounts& counts = metadata.counts;
  if (has_enough_errors(options, counts)) return RunEnd::kMaxErrors;
  RunEnd end = RunEnd::kInput;
  ProgressDisplay progress(progress_style(options), reader.size(), {counts, reader.num_input_bytes()});
  const auto take = [&](const RowOrigin& origin, const DocumentReward& reward) {
    const RunCounts with_row = counts_with(counts, origin, reward);
    output.write(format_row(origin, reward), with_row, origin);
    counts = with_row;
    run.bad_rows.add(reward.error);
    run.kept_fields.add(origin);
    progress.update(counts, origin.num_input_bytes);
    if (has_enough_errors(options, counts)) end = RunEnd::kMaxErrors;
    return end != RunEnd::kMaxErrors;
  };
  ReaderSource source(reader, stop);
  scorer.score(source, take, stop.requested(), &*metadata.times);
  if (end == RunEnd::kMaxErrors) return end;
  if (stop.requested()) return RunEnd::kStopped;
  counts.num_lines = reader.num_lines();  // blank ones at the end, too
  return RunEnd::kInput;
}

int score_documents(const Options& options, StopSignals& stop, std::chrono::steady_clock::time_point start,
                    Metadata& metadata) {
  RunCounts& counts = metadata.counts;
  const auto opened = scorer_options_of_run(options, metadata);
  // A complete output does not need its input any more; otherwise a missing input is told before the checkpoint is
  // read.
  std::optional<JsonlReader> input;
  if (!options.resume) input.emplace(reader_options(options, stop));
  RowOutput output(options, opened, stop);
  if (OutputFile* file = output.file(); file != nullptr && file->is_complete()) {
    return report_complete(*file, options, counts);
  }
  if (!input) input.emplace(reader_options(options, stop));
  JsonlReader& reader = *input;
  AnsweredInput answered;
  if (const OutputFile* file = output.file()) answered = go_on(*file, reader, options, counts);
  metadata.counts_before = counts;
  Scorer scorer(opened);
  describe_checkpoint(metadata, opened, scorer);

  output.begin(answered);
  stop.finish_rows();
  BadRows bad_rows(options);
  KeptFields kept_fields(options.fields.keep);
  const RunEnd end = score_lines({options, stop, metadata, bad_rows, kept_fields}, scorer, reader, output);
  if (end == RunEnd::kInput) {
    output.finish(counts, exit_code(end, counts, options.errors_ok), reader.summary());
  } else {
    output.close();
  }
  metadata.stopped_by = stop_reason(end, counts);
  return finish_run({end, metadata, bad_rows.hint(reader.begins_as_array()), kept_fields.warning()}, options, stop,
                    start);
}

int print_fingerprint(const Options& options, const StopSignals& stop) {
  // Documents move nothing here; a name among the options of a program that scores through a pipe is a mistake.
  if (!options.files.empty()) throw UsageError("--fingerprint: expected no files, got " + options.files.front());
  JsonlWriter output = standard_output(stop.fd());
  output.write(format_fingerprint(state_of_run(options, scorer_options(options))));
  output.finish();
  return 0;
}

}  // namespace

int run_score(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop) {
  if (options.fingerprint) return print_fingerprint(options, stop);
  const auto start = std::chrono::steady_clock::now();
  return run_with_metadata(options, command_line, stop,
                           [&](Metadata& metadata) { return score_documents(options, stop, start, metadata); });
}

}  // namespace prm_score
