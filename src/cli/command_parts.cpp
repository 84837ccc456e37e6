#include "command_parts.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "prm_score/cli/messages.h"

namespace prm_score {
namespace {

void log_summary(const RunCounts& counts, double seconds) {
  spdlog::info("{} rows ({} bad), {} chunks, {} tokens in {:.1f} s", counts.num_scored_rows + counts.num_bad_rows,
               counts.num_bad_rows, counts.num_chunks, counts.num_tokens, seconds);
}

}  // namespace

JsonlReaderOptions reader_options(const Options& options, const StopSignals& stop) {
  return {.lines = {.files = options.files,
                    .max_line_bytes = options.max_line_bytes,
                    .limit = options.limit,
                    .hash = !options.output.empty() || options.command == Command::kCheck,
                    .stop_fd = stop.fd()},
          .fields = options.fields};
}

JsonlWriter standard_output(int stop_fd) { return JsonlWriter(STDOUT_FILENO, "standard output", stop_fd); }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool has_enough_errors(const Options& options, const RunCounts& counts) {
  return options.max_errors && counts.num_bad_rows >= *options.max_errors;
}

std::string stop_reason(RunEnd end, const RunCounts& counts) {
  return end == RunEnd::kMaxErrors ? "--max-errors: stopped after bad row " + std::to_string(counts.num_bad_rows) : "";
}

int finish_run(RunEnd end, const RunCounts& counts, const Options& options, const StopSignals& stop,
               std::chrono::steady_clock::time_point start) {
  if (options.progress != Progress::kNone) log_summary(counts, seconds_since(start));
  if (end == RunEnd::kStopped) return 128 + stop.signal_number();
  if (const auto reason = stop_reason(end, counts); !reason.empty()) print_error(reason);
  return exit_code(end, counts, options.errors_ok);
}

}  // namespace prm_score
