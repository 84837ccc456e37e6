#include "prm_score/cli/progress_display.h"

#include <chrono>
#include <system_error>

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "prm_score/cli/messages.h"
#include "prm_score/cli/standard_streams.h"
#include "prm_score/io/replace_file.h"

namespace prm_score {
namespace {

// Columns of a status line: what is typed behind it (^C) is to fit, too.
size_t status_width() {
  constexpr size_t kUsual = 80, kTyped = 3;
  const auto known = static_cast<size_t>(terminal_width(STDERR_FILENO));
  const size_t width = known > 0 ? known : kUsual;
  return width > kTyped ? width - kTyped : 0;
}

// Whether the terminal is somebody else's at the moment: the shell's, after `bg`.
bool is_in_background() {
  const pid_t owner = tcgetpgrp(STDERR_FILENO);
  return owner > 0 && owner != getpgrp();
}

void draw_bar(const ProgressMeter& meter, ProgressTime now) {
  if (is_in_background()) return;
  const size_t width = status_width();
  if (width > 0) show_status_line(meter.bar(now, width));
}

class LineNowAndThen {
 public:
  explicit LineNowAndThen(ProgressTime start) : due_(start + kInterval) {}

  void operator()(const ProgressMeter& meter, ProgressTime now) {
    if (now < due_) return;
    while (due_ <= now) due_ += kInterval;  // it may have been suspended
    // Nobody may be reading: that must not keep the run from its end.
    if (can_print_at_once()) spdlog::info("{}", meter.line(now));
  }

 private:
  static constexpr std::chrono::seconds kInterval{10};
  ProgressTime due_;
};

}  // namespace

ProgressStyle progress_style(const Options& options) {
  if (options.progress == Progress::kNone) return ProgressStyle::kNone;
  const bool has_rows = options.output.empty();
  if (has_rows && (isatty(STDOUT_FILENO) != 0 || are_open_as_one(STDOUT_FILENO, STDERR_FILENO)))
    return ProgressStyle::kNone;
  const bool has_bar = options.progress == Progress::kAuto && obeys_escapes(STDERR_FILENO);
  return has_bar ? ProgressStyle::kBar : ProgressStyle::kLines;
}

ProgressDisplay::ProgressDisplay(ProgressStyle style, InputSize size, const ProgressCounts& begin) {
  if (style == ProgressStyle::kNone) return;
  const auto now = std::chrono::steady_clock::now();
  ProgressWatch::Show show = draw_bar;
  if (style == ProgressStyle::kLines) show = LineNowAndThen(now);
  try {
    watch_.emplace(ProgressMeter(size, begin, now), std::move(show));
  } catch (const std::system_error& error) {
    spdlog::warn("--progress: no thread to show it: {}", error.what());
  }
}

ProgressDisplay::~ProgressDisplay() {
  watch_.reset();
  show_status_line("");
}

void ProgressDisplay::update(const RunCounts& counts, int64_t num_input_bytes) {
  if (watch_) watch_->update({counts, num_input_bytes});
}

}  // namespace prm_score
