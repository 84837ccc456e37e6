#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "check_against.h"
#include "command_parts.h"
#include "scoring_parts.h"
#include <spdlog/spdlog.h>

#include "prm_score/cli/bad_rows.h"
#include "prm_score/cli/drift_report.h"
#include "prm_score/cli/messages.h"
#include "prm_score/cli/progress_display.h"
#include "prm_score/cli/scorer_options.h"
#include "prm_score/error.h"
#include "prm_score/io/reward_drift.h"
#include "prm_score/score/scorer.h"

namespace prm_score {
namespace {

// Lines of regular files: reading never waits, so that nothing has to end it, and the stop that would lasts.
class FileSource final : public LineSource {
 public:
  explicit FileSource(JsonlReader& reader) : reader_(reader) {}
  std::optional<InputLine> next() override { return reader_.next(); }
  void interrupt() override {}

 private:
  JsonlReader& reader_;
};

struct ScoredDocument {
  std::string place, id_json;
  int64_t num_chunks = 0;
  std::optional<double> reward;
};

// All documents in one precision.
struct Pass {
  std::vector<ScoredDocument> documents;
  std::string input_sha256;  // of their lines
  std::string hint;          // BadRows::hint
};

ScoredDocument scored_document(const RowOrigin& origin, const DocumentReward& reward) {
  ScoredDocument document;
  document.place = place_of_line(origin.file, origin.line);
  document.id_json = origin.id_json;
  document.num_chunks = reward.num_chunks;
  document.reward = reward.reward;
  return document;
}

// `metadata`: told what is scored and how long it took.
Pass score_all(const Options& options, StopSignals& stop, Metadata& metadata) {
  JsonlReader reader(reader_options(options, stop));
  const ScorerOptions opened = scorer_options_of_run(options, metadata);
  Scorer scorer(opened);
  describe_checkpoint(metadata, opened, scorer);

  stop.finish_rows();
  Pass pass;
  FileSource source(reader);
  BadRows bad_rows(options);
  ProgressDisplay progress(progress_style(options), reader.size(), {});
  const auto take = [&](const RowOrigin& origin, const DocumentReward& reward) {
    pass.documents.push_back(scored_document(origin, reward));
    pass.input_sha256 = origin.input_sha256;
    metadata.counts = counts_with(metadata.counts, origin, reward);
    bad_rows.add(reward.error);
    progress.update(metadata.counts, origin.num_input_bytes);
    return true;
  };
  scorer.score(source, take, stop.requested(), &*metadata.times);
  metadata.counts.num_lines = reader.num_lines();
  pass.hint = bad_rows.hint(reader.begins_as_array());
  return pass;
}

DriftResult compare(const Pass& there, const Pass& now) {
  std::vector<RewardPair> pairs;
  int64_t num_bad = 0;
  for (size_t i = 0; i < now.documents.size(); ++i) {
    const ScoredDocument &before = there.documents[i], &document = now.documents[i];
    if (!before.reward || !document.reward) {
      ++num_bad;
      continue;
    }
    pairs.push_back({.place = document.place,
                     .id_json = document.id_json,
                     .num_chunks = document.num_chunks,
                     .there = *before.reward,
                     .now = *document.reward});
  }
  DriftResult result = drift_result(pairs);
  result.num_bad_rows = num_bad;
  return result;
}

// The dtype of --against. Throws Error.
std::string resolve_there(const Options& there) {
  try {
    return resolve_device(scorer_options(there)).dtype;
  } catch (const Error& error) {
    throw Error("--against " + there.dtype + ": " + error.what());
  }
}

}  // namespace

void expect_rereadable(const std::vector<std::string>& files) {
  const std::string expected = "--against: expected files, as they are read twice, got ";
  if (files.empty()) throw UsageError(expected + "standard input");
  for (const std::string& file : files) {
    if (file == "-") throw UsageError(expected + "standard input");
    std::error_code error;
    const auto type = std::filesystem::status(file, error).type();
    const bool is_missing = type == std::filesystem::file_type::not_found;  // the reader says so
    if (!error && !is_missing && type != std::filesystem::file_type::regular) {
      throw UsageError(expected + "something else: " + printable(file));
    }
  }
}

int check_against(const Options& options, StopSignals& stop, std::chrono::steady_clock::time_point start,
                  Metadata& metadata) {
  JsonlWriter report = standard_output(stop.fd());
  Options other = options;
  other.dtype = options.against;
  // What is wrong with either is to be known now, not after the first pass.
  const std::string now_dtype = resolve_device(scorer_options(options)).dtype;
  const std::string there_dtype = resolve_there(other);
  if (now_dtype == there_dtype) {
    print_warning("--against " + there_dtype + ": the run itself computes in " + there_dtype +
                  ", so nothing can differ (--dtype is what to compare)");
  }

  const Pass now = score_all(options, stop, metadata);
  if (stop.requested()) return finish_run({RunEnd::kStopped, metadata, now.hint}, options, stop, start);
  if (now.documents.empty()) throw Error("documents: expected at least one line that is not blank, found none");
  Metadata of_other = metadata;
  of_other.counts = {};
  of_other.times.reset();
  const Pass there = score_all(other, stop, of_other);
  const RunEnd end = stop.requested() ? RunEnd::kStopped : RunEnd::kInput;
  if (const int code = finish_run({end, metadata, now.hint}, options, stop, start); end == RunEnd::kStopped) {
    return code;
  }
  if (there.input_sha256 != now.input_sha256 || there.documents.size() != now.documents.size()) {
    throw Error("documents: expected the same lines when they are read again, found others");
  }

  DriftResult result = compare(there, now);
  result.there = there_dtype;
  result.now = now_dtype;
  report.write(format_drift_report(result));
  report.finish();
  const bool has_all = result.num_bad_rows == 0;
  metadata.drift = std::move(result);
  if (!metadata.drift->all) throw Error("documents: expected at least one that can be scored, found none");
  return has_all ? 0 : kSomeRowsAreBad;
}

}  // namespace prm_score
