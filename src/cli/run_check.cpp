#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "check_against.h"
#include "command_parts.h"
#include "fingerprint.h"
#include "scoring_parts.h"
#include "written_files.h"
#include <spdlog/spdlog.h>

#include "prm_score/cli/bus_errors.h"
#include "prm_score/cli/check_report.h"
#include "prm_score/cli/commands.h"
#include "prm_score/cli/junit_file.h"
#include "prm_score/cli/messages.h"
#include "prm_score/cli/progress_display.h"
#include "prm_score/cli/scorer_options.h"
#include "prm_score/error.h"
#include "prm_score/io/golden_file.h"
#include "prm_score/io/likely_causes.h"
#include "prm_score/io/metadata.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/io/row.h"
#include "prm_score/io/row_comparison.h"
#include "prm_score/score/scorer.h"
#include "prm_score/text/counted.h"

namespace prm_score {
namespace {

constexpr int kSame = 0, kMoved = 1, kCouldNotRun = 4;

using Clock = std::chrono::steady_clock;

struct Run {
  const Options& options;
  StopSignals& stop;
  Clock::time_point start;
  Metadata& metadata;
  BadRows& bad_rows;
};

// What the fixtures give now.
struct ScoredRows {
  std::string text;  // as prm-score prints them, each good one with the hash of its ids
  std::vector<GoldenRow> rows;
  std::string input_sha256;  // of the fixtures' lines
};

struct Golden {
  std::vector<GoldenRow> rows;
  std::optional<RunState> state;
};

// Throws UsageError if a file would be written over another one of this run.
void refuse_wrong_files(const Options& options) {
  const std::string metadata = golden_metadata_name(options.golden);
  expect_no_standard_output("--golden", options.golden);
  if (options.update) {
    expect_no_input(options.files, "--golden", options.golden);
    expect_no_input(options.files, "--golden", metadata);
    expect_no_standard_output("--golden", metadata);
  }
  if (options.junit.empty()) return;
  expect_no_input(options.files, "--junit", options.junit);
  expect_no_standard_output("--junit", options.junit);
  for (const std::string& golden : {options.golden, metadata}) {
    if (!is_same_file(options.junit, golden)) continue;
    throw UsageError("--junit: expected another file than the golden and its metadata, got \"" + options.junit + "\"");
  }
}

// Throws Error if the golden cannot be written, or something else is in its place.
void expect_room_for_golden(const std::string& golden) {
  const std::string metadata = golden_metadata_name(golden);
  for (const std::string& file : {golden, metadata}) {
    std::error_code error;
    if (std::filesystem::exists(file, error) && !std::filesystem::is_regular_file(file, error)) {
      throw Error("--golden: " + file + ": expected the name of a regular file, found something else");
    }
    check_replaceable(file);
  }
  expect_golden_or_nothing("--golden", golden);
  expect_metadata_or_nothing("--golden", metadata);
}

Golden open_golden(const Options& options, const StopSignals& stop) {
  std::error_code error;
  if (!std::filesystem::exists(options.golden, error) && !error) {
    throw Error("--golden: " + options.golden + ": expected the rows of an earlier run, found no such file (--update " +
                "writes it)");
  }
  return {.rows = read_golden(options.golden, stop.fd()), .state = read_golden_state(options.golden)};
}

ScoredRows score_fixtures(const Run& run, JsonlReader& reader, Scorer& scorer) {
  ScoredRows scored;
  RunCounts& counts = run.metadata.counts;
  ReaderSource source(reader, run.stop);
  ProgressDisplay progress(progress_style(run.options), reader.size(), {});
  const auto take = [&](const RowOrigin& origin, const DocumentReward& reward) {
    scored.rows.push_back(golden_row(origin, reward));
    scored.text += format_row(origin, reward);
    scored.input_sha256 = origin.input_sha256;
    counts = counts_with(counts, origin, reward);
    run.bad_rows.add(reward.error);
    progress.update(counts, origin.num_input_bytes);
    return true;
  };
  scorer.score(source, take, run.stop.requested(), &*run.metadata.times);
  counts.num_lines = reader.num_lines();
  return scored;
}

// Reads all files of the checkpoint.
RunState state_of(const Run& run, const ScorerOptions& opened, const ScoredRows& now) {
  RunState state = state_of_run(run.options, opened);
  state.progress = {.num_bytes = std::ssize(now.text), .counts = run.metadata.counts, .input_sha256 = now.input_sha256};
  state.exit_code = kSame;
  return state;
}

// Goldens travel with their fixtures, so their metadata names files as the user did, not where they are here.
void describe_files(const Options& options, const ScorerOptions& opened, CheckpointMetadata& checkpoint) {
  checkpoint.sha256 = checkpoint_sha256(opened);
  checkpoint.folder = options.model.empty() ? opened.model.filename().string() : options.model;
  checkpoint.random_weights = options.random_weights;
}

std::string update(const Run& run, const ScorerOptions& opened, const ScoredRows& now) {
  const std::string metadata_file = golden_metadata_name(run.options.golden);
  Metadata& metadata = run.metadata;
  metadata.state_json = format_run_state(state_of(run, opened, now));
  metadata.elapsed_seconds = seconds_since(run.start);
  describe_files(run.options, opened, *metadata.checkpoint);
  replace_file(run.options.golden, now.text);
  replace_file(metadata_file, format_metadata(metadata));
  return "updated: " + printable(run.options.golden) + ", " + counted(std::ssize(now.rows), "row") + ", and " +
         printable(metadata_file) + "\n";
}

// float32's unless both runs are known to be in the same other precision: a golden that was exact is not held to less
// in silence.
Tolerance tolerance_of(const Options& options, const std::string& dtype, const std::optional<RunState>& golden) {
  if (options.exact) return {.atol = 0, .rtol = 0};
  const auto there = golden ? golden->fingerprint.find("dtype") : std::map<std::string, std::string>::const_iterator();
  const bool is_same = golden && there != golden->fingerprint.end() && there->second == "\"" + dtype + "\"";
  const Tolerance usual = default_tolerance(is_same ? dtype : "float32");
  return {.atol = options.atol.value_or(usual.atol), .rtol = options.rtol.value_or(usual.rtol)};
}

CheckResult compare(const Run& run, const ScorerOptions& opened, const Golden& golden, const ScoredRows& now) {
  CheckResult result;
  result.golden = run.options.golden;
  result.tolerance = tolerance_of(run.options, run.metadata.checkpoint->dtype, golden.state);
  result.comparison = compare_rows(golden.rows, now.rows, result.tolerance);
  if (result.comparison.num_moved == 0) return result;
  result.causes =
      likely_causes(result.comparison, golden.state, golden.state ? state_of(run, opened, now) : RunState());
  return result;
}

int check(const Run& run) {
  const auto& [options, stop, start, metadata, bad_rows] = run;
  if (!options.against.empty()) return check_against(options, stop, start, metadata);
  JsonlWriter report = standard_output(stop.fd());
  JsonlReader reader(reader_options(options, stop));
  Golden golden;
  if (options.update) {
    expect_room_for_golden(options.golden);
  } else {
    golden = open_golden(options, stop);
  }
  const ScorerOptions opened = scorer_options_of_run(options, metadata);
  Scorer scorer(opened);
  describe_checkpoint(metadata, opened, scorer);

  stop.finish_rows();
  const ScoredRows now = score_fixtures(run, reader, scorer);
  const RunEnd end = stop.requested() ? RunEnd::kStopped : RunEnd::kInput;
  const FinishedRun finished = {end, metadata, bad_rows.hint(reader.begins_as_array())};
  if (const int code = finish_run(finished, options, stop, start); end == RunEnd::kStopped) return code;
  if (now.rows.empty()) throw Error("fixtures: expected at least one line that is not blank, found none");
  if (options.update) {
    if (metadata.counts.num_scored_rows == 0) {
      throw Error("--update: expected fixtures of which at least one can be scored, found none; line " +
                  std::to_string(now.rows.front().line) + ": " + now.rows.front().error);
    }
    report.write(update(run, opened, now));
    return kSame;
  }
  const CheckResult result = compare(run, opened, golden, now);
  if (!options.junit.empty()) replace_file(options.junit, format_junit(result, seconds_since(start)));
  report.write(format_check_report(result));
  report.finish();
  return result.comparison.num_moved == 0 ? kSame : kMoved;
}

// If it can.
void write_junit_error(const Options& options, const std::string& message, Clock::time_point start) {
  if (options.junit.empty()) return;
  try {
    replace_file(options.junit, format_junit_error(options.golden, message, seconds_since(start)));
  } catch (const Error& error) {
    if (error.what() != message) spdlog::warn("{}", error.what());
  }
}

// Takes the place of an earlier report, which a run that is cancelled must not leave behind. Throws Error before
// anything else is done if it cannot be written.
void begin_junit(const Options& options, Clock::time_point start) {
  if (options.junit.empty()) return;
  check_replaceable(options.junit);
  expect_xml_or_nothing("--junit", options.junit);
  replace_file(options.junit,
               format_junit_error(options.golden, "the check has not come to its end", seconds_since(start)));
}

}  // namespace

int run_check(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop) {
  const auto start = Clock::now();
  if (options.against.empty()) {
    refuse_wrong_files(options);
  } else {
    expect_rereadable(options.files);
  }
  set_bus_error_exit_code(kCouldNotRun);
  try {
    begin_junit(options, start);
  } catch (const Error& error) {
    print_error(error.what());
    return kCouldNotRun;
  }
  const auto run = [&](Metadata& metadata) {
    try {
      BadRows bad_rows(options);
      return check({options, stop, start, metadata, bad_rows});
    } catch (const ClosedPipe&) {
      throw;
    } catch (const StalledOutput&) {
      throw;
    } catch (const std::exception& error) {
      write_junit_error(options, error.what(), start);
      throw;
    }
  };
  return run_with_metadata(options, command_line, stop, run, kCouldNotRun);
}

}  // namespace prm_score
