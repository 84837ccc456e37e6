// scoring_parts.h - what the commands that score share. Private to the cli layer.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "prm_score/cli/options.h"
#include "prm_score/cli/stop_signals.h"
#include "prm_score/io/jsonl_reader.h"
#include "prm_score/io/metadata.h"
#include "prm_score/score/scorer.h"

namespace prm_score {

// The lines of a reader for the scorer.
class ReaderSource final : public LineSource {
 public:
  ReaderSource(JsonlReader& reader, StopSignals& stop) : reader_(reader), stop_(stop) {}
  std::optional<InputLine> next() override { return reader_.next(); }
  void interrupt() override { stop_.end_waits(); }

 private:
  JsonlReader& reader_;
  StopSignals& stop_;
};

// `counts` with the row of one more document.
[[nodiscard]] RunCounts counts_with(RunCounts counts, const RowOrigin& origin, const DocumentReward& reward);

// What a run opens its Scorer with: replicas that fail are told to the user and in `metadata`, which must outlive it.
[[nodiscard]] ScorerOptions scorer_options_of_run(const Options& options, Metadata& metadata);

// What is known once the checkpoint is open; also told to the user.
void describe_checkpoint(Metadata& metadata, const ScorerOptions& options, const Scorer& scorer);

// A whole command that writes rows: its exit code, after the metadata is where it is wanted. What `run` throws is told
// to the user and stands in the metadata; `error_code` is the exit code of an error. Throws UsageError if a file would
// be written over another, Error if the metadata cannot be written.
[[nodiscard]] int run_with_metadata(const Options& options, const std::vector<std::string>& command_line,
                                    const StopSignals& stop, const std::function<int(Metadata&)>& run,
                                    int error_code = 1);

}  // namespace prm_score
