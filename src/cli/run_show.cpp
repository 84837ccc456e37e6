#include <cstdlib>
#include <string_view>
#include <variant>

#include "command_parts.h"
#include "scoring_parts.h"
#include "written_files.h"
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "prm_score/cli/commands.h"
#include "prm_score/cli/scorer_options.h"
#include "prm_score/cli/terminal_view.h"
#include "prm_score/score/scorer.h"

namespace prm_score {
namespace {

// As https://no-color.org has it: NO_COLOR counts if it is not empty, an option of the command line counts more.
bool wants_color(Color color) {
  if (color != Color::kAuto) return color == Color::kAlways;
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool is_refused = no_color != nullptr && *no_color != '\0';
  const bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return !is_refused && !is_dumb && isatty(STDOUT_FILENO) == 1;
}

class Viewer {
 public:
  Viewer(const Options& options, Scorer& scorer, JsonlWriter& writer)
      : options_(options), scorer_(scorer), writer_(writer), color_(wants_color(options.color)) {}

  void show(const InputLine& line, RunCounts& counts) {
    if (const auto* bad = std::get_if<LineError>(&line)) {
      DocumentReward result;
      result.error = bad->reason;
      return show(bad->origin, result, {}, counts);
    }
    const auto& document = std::get<Document>(line);
    const DocumentReward reward = scorer_.score(document);
    ShadedText text;
    if (reward.error.empty()) text = shade_text(document.text, reward.spans, options_.max_text);
    show(document.origin, reward, text, counts);
  }

 private:
  void show(const RowOrigin& origin, const DocumentReward& reward, const ShadedText& text, RunCounts& counts) {
    std::string view = is_first_ ? (color_ ? color_legend() + "\n" : "") : "\n";
    view += format_for_terminal(origin, reward, text, color_);
    writer_.write(view);
    is_first_ = false;
    if (reward.error.empty()) {
      ++counts.num_scored_rows;
      counts.add(reward);
    } else {
      ++counts.num_bad_rows;
    }
  }

  const Options& options_;
  Scorer& scorer_;
  JsonlWriter& writer_;
  const bool color_;
  bool is_first_ = true;
};

// Answers every line of the input; what ended it.
RunEnd show_lines(const Options& options, JsonlReader& reader, Viewer& viewer, const StopSignals& stop,
                  RunCounts& counts) {
  while (!stop.requested()) {
    const auto line = reader.next();
    if (!line) break;
    viewer.show(*line, counts);
    if (has_enough_errors(options, counts)) return RunEnd::kMaxErrors;
  }
  return stop.requested() ? RunEnd::kStopped : RunEnd::kInput;
}

}  // namespace

int run_show(const Options& options, StopSignals& stop) {
  const auto start = std::chrono::steady_clock::now();
  expect_no_loop(options.files);
  JsonlReader reader(reader_options(options, stop));
  JsonlWriter writer = standard_output(stop.fd());
  ScorerOptions opened = scorer_options(options);
  opened.spans = true;
  Scorer scorer(opened);
  Viewer viewer(options, scorer, writer);

  Metadata run;
  stop.finish_rows();
  try {
    const RunEnd end = show_lines(options, reader, viewer, stop, run.counts);
    if (end == RunEnd::kInput) writer.finish();
    return finish_run(end, run, options, stop, start);
  } catch (const StalledOutput&) {
    return 128 + stop.signal_number();
  }
}

}  // namespace prm_score
