#include <algorithm>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <utility>

#include "command_parts.h"
#include "fingerprint.h"
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prm_score/cli/commands.h"
#include "prm_score/cli/messages.h"
#include "prm_score/cli/model_folder.h"
#include "prm_score/io/metadata.h"
#include "prm_score/io/output_file.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/io/resume.h"
#include "prm_score/io/row.h"
#include "prm_score/score/scorer.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

ScorerOptions scorer_options(const Options& options) {
  ScorerOptions scorer;
  scorer.model = model_folder(options.model);
  scorer.random_weights = options.random_weights;
  scorer.weight_memory = options.weight_memory;
  scorer.device = options.device;
  scorer.dtype = options.dtype;
  scorer.threads = options.threads;
  scorer.label_a = options.label_a;
  scorer.label_b = options.label_b;
  scorer.special_tokens = options.special_tokens;
  scorer.prompt = options.prompt;
  scorer.spans = options.spans;
  scorer.prefix_sharing = !options.no_prefix_sharing;
  scorer.self_check = options.self_check;
  scorer.max_batch_tokens = options.max_batch_tokens;
  return scorer;
}

Metadata metadata_before_run(const Options& options, const std::vector<std::string>& command_line) {
  Metadata metadata;
  metadata.versions = {{"prm_score", PRM_SCORE_VERSION}, {"unicode", std::string(unicode_version())}};
  metadata.command_line = command_line;
  metadata.options = effective_options(options);
  metadata.template_sha256 = template_sha256();
  return metadata;
}

void describe_checkpoint(Metadata& metadata, const ScorerOptions& options, const Scorer& scorer) {
  const auto& info = scorer.info();
  metadata.versions.emplace_back("torch", info.torch_version);
  CheckpointMetadata checkpoint;
  std::error_code ignored;
  checkpoint.folder = std::filesystem::absolute(options.model, ignored).string();
  if (!options.random_weights.empty()) {
    checkpoint.random_weights = std::filesystem::absolute(options.random_weights, ignored).string();
  }
  checkpoint.model_type = info.model_type;
  checkpoint.label_a = options.label_a;
  checkpoint.label_b = options.label_b;
  checkpoint.label_a_id = info.label_a_id;
  checkpoint.label_b_id = info.label_b_id;
  checkpoint.tokenizer_file = scorer.tokenizer().file_name();
  checkpoint.tokenizer_sha256 = scorer.tokenizer().file_sha256();
  checkpoint.device = info.device;
  checkpoint.dtype = info.dtype;
  checkpoint.threads = info.threads;
  checkpoint.max_positions = info.max_positions;
  checkpoint.max_context = info.max_context;
  checkpoint.max_batch_tokens = info.max_batch_tokens;
  checkpoint.prefix_sharing = options.prefix_sharing;
  metadata.checkpoint = std::move(checkpoint);
}

class ReaderSource final : public LineSource {
 public:
  ReaderSource(JsonlReader& reader, StopSignals& stop) : reader_(reader), stop_(stop) {}
  std::optional<InputLine> next() override { return reader_.next(); }
  void interrupt() override { stop_.end_waits(); }

 private:
  JsonlReader& reader_;
  StopSignals& stop_;
};

// Where the rows go: standard output, or the file of --output.
class RowOutput {
 public:
  // Throws Error if it cannot be written. Changes nothing yet.
  RowOutput(const Options& options, const ScorerOptions& scorer, const StopSignals& stop) {
    if (options.output.empty()) {
      stream_.emplace(standard_output(stop.fd()));
      return;
    }
    const IfThere if_there = options.resume      ? IfThere::kResume
                             : options.overwrite ? IfThere::kOverwrite
                                                 : IfThere::kRefuse;
    file_.emplace(options.output, if_there, state_of_run(options, scorer));
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
  void finish(const RunCounts& counts, int exit_code) {
    if (file_) {
      file_->finish(counts, exit_code);
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

// Exit code of a run whose output is already complete.
int report_complete(OutputFile& output, const Options& options, RunCounts& counts) {
  counts = output.answered().counts;
  spdlog::info("{}: already complete, {} rows ({} bad)", options.output, output.answered().num_rows(),
               counts.num_bad_rows);
  return output.complete();
}

// Passes over what an earlier run answered, and counts it.
AnsweredInput go_on(const OutputFile& output, JsonlReader& reader, const Options& options, RunCounts& counts) {
  const AnsweredInput answered = skip_answered(reader, output);
  counts = output.answered().counts;
  counts.num_lines = answered.num_lines;
  if (!output.warning().empty()) {
    spdlog::warn("{}: --resume: the last digits of rewards may move: {}", options.output, output.warning());
  }
  if (output.num_rows_there() > 0) {
    spdlog::info("{}: goes on after {} rows", options.output, output.num_rows_there());
  }
  return answered;
}

bool has_enough_errors(const Options& options, const RunCounts& counts) {
  return options.max_errors && counts.num_bad_rows >= *options.max_errors;
}

// Scores what is left of the input.
RunEnd score_lines(Scorer& scorer, JsonlReader& reader, RowOutput& output, const Options& options, StopSignals& stop,
                   RunCounts& counts) {
  if (has_enough_errors(options, counts)) return RunEnd::kMaxErrors;
  RunEnd end = RunEnd::kInput;
  const auto take = [&](const RowOrigin& origin, const DocumentReward& reward) {
    RunCounts with_row = counts;
    with_row.num_lines = origin.num_lines;
    if (reward.error.empty()) {
      ++with_row.num_scored_rows;
      with_row.add(reward);
    } else {
      ++with_row.num_bad_rows;
    }
    output.write(format_row(origin, reward), with_row, origin);
    counts = with_row;
    if (has_enough_errors(options, counts)) end = RunEnd::kMaxErrors;
    return end != RunEnd::kMaxErrors;
  };
  ReaderSource source(reader, stop);
  scorer.score(source, take, stop.requested());
  if (end == RunEnd::kMaxErrors) return end;
  if (stop.requested()) return RunEnd::kStopped;
  counts.num_lines = reader.num_lines();  // blank ones at the end, too
  return RunEnd::kInput;
}

int score_documents(const Options& options, StopSignals& stop, std::chrono::steady_clock::time_point start,
                    Metadata& metadata) {
  RunCounts& counts = metadata.counts;
  const auto opened = scorer_options(options);
  // A complete output does not need its input any more; otherwise a missing input is told before the checkpoint is
  // read.
  std::optional<JsonlReader> input;
  std::error_code not_there;
  if (!(options.resume && std::filesystem::exists(options.output, not_there)))
    input.emplace(reader_options(options, stop));
  RowOutput output(options, opened, stop);
  if (OutputFile* file = output.file(); file != nullptr && file->is_complete()) {
    return report_complete(*file, options, counts);
  }
  if (!input) input.emplace(reader_options(options, stop));
  JsonlReader& reader = *input;
  AnsweredInput answered;
  if (const OutputFile* file = output.file()) answered = go_on(*file, reader, options, counts);
  Scorer scorer(opened);
  describe_checkpoint(metadata, opened, scorer);
  spdlog::info("{}: {} on {} in {}, {} threads", opened.model.string(), scorer.info().model_type, scorer.info().device,
               scorer.info().dtype, scorer.info().threads);

  output.begin(answered);
  stop.finish_rows();
  const RunEnd end = score_lines(scorer, reader, output, options, stop, counts);
  if (end == RunEnd::kInput) {
    output.finish(counts, exit_code(end, counts, options.errors_ok));
  } else {
    output.close();
  }
  metadata.stopped_by = stop_reason(end, counts);
  return finish_run(end, counts, options, stop, start);
}

// The exit code of `run`, or of what it throws; what stopped it goes to the user and into `stopped_by`.
int run_to_exit_code(const std::function<int()>& run, const StopSignals& stop, std::string& stopped_by) {
  try {
    return run();
  } catch (const StalledOutput&) {
    return 128 + stop.signal_number();
  } catch (const ClosedPipe& error) {
    stopped_by = error.what();
    return kClosedPipeExitCode;
  } catch (const std::system_error& error) {
    // Of ours none is one: it is a thread that could not be started.
    stopped_by = std::string("no more threads or other resources of the system: ") + error.what();
    print_error(stopped_by);
    return 1;
  } catch (const std::exception& error) {
    stopped_by = error.what();
    print_error(error.what());
    return 1;
  }
}

bool reads_standard_input(const Options& options) {
  return options.files.empty() || std::ranges::find(options.files, "-") != options.files.end();
}

bool is_file_of(int fd, const std::string& path) {
  struct stat opened {
  }, named{};
  return fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) && stat(path.c_str(), &named) == 0 &&
         named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  return std::filesystem::weakly_canonical(a, error) == std::filesystem::weakly_canonical(b, error) && !error;
}

// Throws UsageError if what is written to `file` would be written over an input.
void expect_no_input(const Options& options, const char* option, const std::string& file) {
  bool is_input = reads_standard_input(options) && is_file_of(STDIN_FILENO, file);
  for (const std::string& input : options.files) {
    std::error_code not_there;
    is_input |= std::filesystem::is_regular_file(input, not_there) && is_same_file(input, file);
  }
  if (is_input) throw UsageError(std::string(option) + ": expected another file than the input, got \"" + file + "\"");
}

// Throws UsageError if a file would be written over another, Error if the metadata cannot be written at all.
void check_written_files(const Options& options) {
  const std::vector<std::string> names =
      options.output.empty() ? std::vector<std::string>() : OutputFile::names_of(options.output);
  for (const std::string& name : names) expect_no_input(options, "--output", name);
  if (options.metadata.empty()) return;
  expect_no_input(options, "--metadata", options.metadata);
  for (const std::string& name : names) {
    if (is_same_file(options.metadata, name)) {
      throw UsageError("--metadata: expected another file than those of --output, got \"" + options.metadata + "\"");
    }
  }
  if (is_file_of(STDOUT_FILENO, options.metadata)) {
    throw UsageError("--metadata: expected another file than the rows' (standard output), got \"" + options.metadata +
                     "\"");
  }
  check_replaceable(options.metadata);
}

}  // namespace

int run_score(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop) {
  const auto start = std::chrono::steady_clock::now();
  check_written_files(options);
  Metadata metadata = metadata_before_run(options, command_line);
  metadata.exit_code =
      run_to_exit_code([&] { return score_documents(options, stop, start, metadata); }, stop, metadata.stopped_by);
  if (stop.signal_number() != 0 && metadata.exit_code == 128 + stop.signal_number())
    metadata.stopped_by = stop.signal_name();
  metadata.elapsed_seconds = seconds_since(start);
  if (!options.metadata.empty()) replace_file(options.metadata, format_metadata(metadata));
  return metadata.exit_code;
}

}  // namespace prm_score
