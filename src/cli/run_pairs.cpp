#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "command_parts.h"
#include "scoring_parts.h"
#include <spdlog/spdlog.h>

#include "prm_score/cli/commands.h"
#include "prm_score/cli/kept_fields.h"
#include "prm_score/cli/messages.h"
#include "prm_score/cli/progress_display.h"
#include "prm_score/cli/scorer_options.h"
#include "prm_score/io/pair_reader.h"
#include "prm_score/io/pair_summary.h"
#include "prm_score/io/row.h"
#include "prm_score/score/pair_reward.h"
#include "prm_score/text/counted.h"

namespace prm_score {
namespace {

// Gives both texts of a pair, one after the other; a bad line twice.
class PairSource final : public LineSource {
 public:
  PairSource(PairReader& reader, StopSignals& stop) : reader_(reader), stop_(stop) {}

  std::optional<InputLine> next() override {
    if (second_) return std::exchange(second_, std::nullopt);
    auto line = reader_.next();
    if (!line) return std::nullopt;
    if (auto* pair = std::get_if<PreferencePair>(&*line)) {
      second_ = std::move(pair->rejected);
      return std::move(pair->chosen);
    }
    second_ = std::get<LineError>(*line);
    return std::get<LineError>(std::move(*line));
  }
  void interrupt() override { stop_.end_waits(); }

 private:
  PairReader& reader_;
  StopSignals& stop_;
  std::optional<InputLine> second_;
};

// Whether the line is bad, and not one of its texts.
bool is_bad_line(const DocumentReward& chosen, const DocumentReward& rejected) {
  return !chosen.error.empty() && chosen.error == rejected.error && !chosen.error.starts_with("text: ");
}

PairReward bad_pair(std::string error) {
  PairReward pair;
  pair.error = std::move(error);
  return pair;
}

// The results as they come: of the chosen text, of the rejected one, of the next pair's chosen one, ..
class PairRows {
 public:
  PairRows(JsonlWriter& writer, Metadata& metadata, BadRows& bad_rows)
      : writer_(writer), counts_(metadata.counts), summary_(metadata.pairs.emplace()), bad_rows_(bad_rows) {}

  void take(const RowOrigin& origin, const DocumentReward& reward) {
    if (!chosen_) {
      chosen_ = reward;
      return;
    }
    const DocumentReward chosen = *std::exchange(chosen_, std::nullopt);
    const PairReward pair = is_bad_line(chosen, reward) ? bad_pair(chosen.error) : make_pair_reward(chosen, reward);
    writer_.write(format_pair_row(origin, pair));
    count(origin, chosen, reward, pair);
  }

 private:
  void count(const RowOrigin& origin, const DocumentReward& chosen, const DocumentReward& rejected,
             const PairReward& pair) {
    counts_.num_lines = origin.num_lines;
    if (!pair.error.empty()) {
      ++counts_.num_bad_rows;
      bad_rows_.add(pair.error);
      summary_.add_bad(origin.subset);
      return;
    }
    ++counts_.num_scored_rows;
    counts_.add_chunks(chosen);
    counts_.add_chunks(rejected);
    counts_.add_warnings(pair.warnings);
    summary_.add(*pair.margin, origin.subset);
  }

  JsonlWriter& writer_;
  RunCounts& counts_;
  PairSummary& summary_;
  BadRows& bad_rows_;
  std::optional<DocumentReward> chosen_;
};

void log_accuracy(const std::string& name, const PairAccuracy& found) {
  const std::string bad = found.num_bad > 0 ? ", " + counted(found.num_bad, "bad pair") : "";
  if (found.num_pairs == 0) {
    spdlog::info("{}: no accuracy, 0 pairs{}", name, bad);
    return;
  }
  const auto [low, high] = found.confidence_interval();
  spdlog::info("{}: accuracy {:.4f} (95 % confidence {:.4f} to {:.4f}), {}, {}{}", name, found.accuracy(), low, high,
               counted(found.num_pairs, "pair"), counted(found.num_ties, "tie"), bad);
}

void log_pairs(const PairSummary& summary) {
  for (const auto& [name, found] : summary.subsets) log_accuracy("subset " + printable(name), found);
  if (summary.all.num_pairs + summary.all.num_bad > 0) log_accuracy("all", summary.all);
}

int score_pairs(const Options& options, StopSignals& stop, std::chrono::steady_clock::time_point start,
                Metadata& metadata) {
  RunCounts& counts = metadata.counts;
  PairReader reader(reader_options(options, stop), options.pair_fields);
  JsonlWriter writer = standard_output(stop.fd());
  const ScorerOptions opened = scorer_options_of_run(options, metadata);
  Scorer scorer(opened);
  describe_checkpoint(metadata, opened, scorer);

  stop.finish_rows();
  PairSource source(reader, stop);
  BadRows bad_rows(options);
  KeptFields kept_fields(options.fields.keep);
  PairRows rows(writer, metadata, bad_rows);
  RunEnd end = RunEnd::kInput;
  {
    ProgressDisplay progress(progress_style(options), reader.size(), {});
    const auto take = [&](const RowOrigin& origin, const DocumentReward& reward) {
      rows.take(origin, reward);
      kept_fields.add(origin);
      progress.update(counts, origin.num_input_bytes);
      if (has_enough_errors(options, counts)) end = RunEnd::kMaxErrors;
      return end == RunEnd::kInput;
    };
    scorer.score(source, take, stop.requested(), &*metadata.times);
  }
  if (end == RunEnd::kInput && stop.requested()) end = RunEnd::kStopped;
  if (end == RunEnd::kInput) {
    counts.num_lines = reader.num_lines();
    writer.finish();
  }
  log_pairs(*metadata.pairs);
  metadata.stopped_by = stop_reason(end, counts);
  return finish_run({end, metadata, bad_rows.hint(reader.begins_as_array()), kept_fields.warning()}, options, stop,
                    start);
}

}  // namespace

int run_pairs(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop) {
  const auto start = std::chrono::steady_clock::now();
  return run_with_metadata(options, command_line, stop,
                           [&](Metadata& metadata) { return score_pairs(options, stop, start, metadata); });
}

}  // namespace prm_score
