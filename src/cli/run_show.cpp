#include <chrono>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "command_parts.h"
#include "scoring_parts.h"
#include "written_files.h"
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "prm_score/cli/commands.h"
#include "prm_score/cli/messages.h"
#include "prm_score/cli/progress_display.h"
#include "prm_score/cli/scorer_options.h"
#include "prm_score/cli/standard_streams.h"
#include "prm_score/cli/terminal_view.h"
#include "prm_score/score/scorer.h"

namespace prm_score {
namespace {

// As https://no-color.org has it: NO_COLOR counts if it is not empty, an option of the command line counts more.
bool wants_color(Color color) {
  if (color != Color::kAuto) return color == Color::kAlways;
  const char* no_color = std::getenv("NO_COLOR");
  const bool is_refused = no_color != nullptr && *no_color != '\0';
  return !is_refused && obeys_escapes(STDOUT_FILENO);
}

// A reader's lines; their texts are kept until they are shown.
class TextKeepingSource final : public LineSource {
 public:
  TextKeepingSource(JsonlReader& reader, StopSignals& stop) : source_(reader, stop) {}

  std::optional<InputLine> next() override {
    auto line = source_.next();
    if (line) {
      const auto* document = std::get_if<Document>(&*line);
      const std::lock_guard lock(mutex_);
      texts_.push_back(document != nullptr ? document->text : "");
    }
    return line;
  }
  void interrupt() override { source_.interrupt(); }

  // Of the first line whose text was not taken yet; empty if it has none. From another thread than next().
  [[nodiscard]] std::string take_text() {
    const std::lock_guard lock(mutex_);
    std::string text = std::move(texts_.front());
    texts_.pop_front();
    return text;
  }

 private:
  ReaderSource source_;
  std::mutex mutex_;
  std::deque<std::string> texts_;
};

struct Run {
  const Options& options;
  StopSignals& stop;
  Metadata metadata;
  BadRows bad_rows;
};

RunEnd show_lines(Run& run, JsonlReader& reader, Scorer& scorer) {
  auto& [options, stop, metadata, bad_rows] = run;
  JsonlWriter writer = standard_output(stop.fd());
  TextKeepingSource source(reader, stop);
  ProgressDisplay progress(progress_style(options), reader.size(), {});
  TerminalStyle style = {.color = wants_color(options.color)};
  std::string before = style.color ? color_legend() + "\n" : "";
  RunEnd end = RunEnd::kInput;
  const auto take = [&](const RowOrigin& origin, const DocumentReward& reward) {
    const std::string text = source.take_text();
    const ShadedText shaded =
        reward.error.empty() ? shade_text(text, reward.spans, run.options.max_text) : ShadedText();
    style.width = terminal_width(STDOUT_FILENO);
    writer.write(before + format_for_terminal(origin, reward, shaded, style));
    before = "\n";
    RunCounts& counts = run.metadata.counts;
    counts = counts_with(counts, origin, reward);
    run.bad_rows.add(reward.error);
    progress.update(counts, origin.num_input_bytes);
    if (has_enough_errors(run.options, counts)) end = RunEnd::kMaxErrors;
    return end == RunEnd::kInput;
  };
  scorer.score(source, take, stop.requested(), &metadata.times.emplace());
  if (end == RunEnd::kInput && stop.requested()) return RunEnd::kStopped;
  if (end == RunEnd::kInput) writer.finish();
  return end;
}

}  // namespace

int run_show(const Options& options, StopSignals& stop) {
  const auto start = std::chrono::steady_clock::now();
  expect_no_loop(options.files);
  JsonlReader reader(reader_options(options, stop));
  ScorerOptions opened = scorer_options(options);
  opened.warn = print_warning;
  opened.spans = true;
  Scorer scorer(opened);

  Run run = {options, stop, {}, BadRows(options)};
  stop.finish_rows();
  try {
    const RunEnd end = show_lines(run, reader, scorer);
    const std::string hint = run.bad_rows.hint(reader.begins_as_array());
    return finish_run({end, run.metadata, hint}, options, stop, start);
  } catch (const StalledOutput&) {
    return 128 + stop.signal_number();
  }
}

}  // namespace prm_score
