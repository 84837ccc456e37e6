// progress_display.h - how far a run is, on standard error: a bar on a terminal, a line now and then in a log.
#pragma once

#include <cstdint>
#include <optional>

#include "prm_score/cli/options.h"
#include "prm_score/io/progress.h"

namespace prm_score {

enum class ProgressStyle { kNone, kLines, kBar };

// What --progress comes to with the streams of this process. Nothing where rows and messages go to the same place, or
// the rows to a terminal: it could come to stand within a row. A bar needs a terminal that is not `TERM=dumb`.
[[nodiscard]] ProgressStyle progress_style(const Options& options);

// Shows the progress as long as it lives; what happens to standard error meanwhile does not matter to the run. Lines
// are messages of level info, the first one after 10 seconds.
class ProgressDisplay {
 public:
  // `begin`: what is done already.
  ProgressDisplay(ProgressStyle style, InputSize size, const ProgressCounts& begin);
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  // Never waits for standard error.
  void update(const RunCounts& counts, int64_t num_input_bytes);

 private:
  std::optional<ProgressWatch> watch_;
};

}  // namespace prm_score
