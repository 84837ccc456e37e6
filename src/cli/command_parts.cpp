#include "command_parts.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "prm_score/cli/messages.h"
#include "prm_score/text/counted.h"

namespace prm_score {
namespace {

// The rates are those of this run, from its first line to its last row: loading would hide them in short runs.
// `ending`: "interrupted by SIGTERM: "; empty if the run came to its end.
void log_summary(const Metadata& run, const std::string& ending, double seconds) {
  const RunCounts& counts = run.counts;
  const RunCounts& before = run.counts_before;
  const double scoring = run.times ? run.times->scoring : 0;
  const auto rate = [&](int64_t count) { return scoring > 0 ? static_cast<double>(count) / scoring : 0; };
  spdlog::info("{}{} ({} bad), {}, {} in {:.1f} s; {:.1f} chunks/s, {:.0f} tokens/s once loaded", ending,
               counted(counts.num_scored_rows + counts.num_bad_rows, "row"), counts.num_bad_rows,
               counted(counts.num_chunks, "chunk"), counted(counts.num_tokens, "token"), seconds,
               rate(counts.num_chunks - before.num_chunks), rate(counts.num_tokens - before.num_tokens));
}

}  // namespace

Shard shard_of(const Options& options) {
  return options.shard ? Shard{.number = *options.shard, .num_shards = *options.num_shards} : Shard();
}

JsonlReaderOptions reader_options(const Options& options, const StopSignals& stop) {
  return {.lines = {.files = options.files,
                    .max_line_bytes = options.max_line_bytes,
                    .limit = options.limit,
                    .shard = shard_of(options),
                    .hash = !options.output.empty() || options.command == Command::kCheck,
                    .stop_fd = stop.fd()},
          .fields = options.fields};
}

IfThere if_there(const Options& options) {
  if (options.resume) return IfThere::kResume;
  return options.overwrite ? IfThere::kOverwrite : IfThere::kRefuse;
}

JsonlWriter standard_output(int stop_fd) { return JsonlWriter(STDOUT_FILENO, "standard output", stop_fd); }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool has_enough_errors(const Options& options, const RunCounts& counts) {
  return options.max_errors && counts.num_bad_rows >= *options.max_errors;
}

std::string interrupted_by(const StopSignals& stop) { return "interrupted by " + stop.signal_name(); }

void log_rows_so_far(const Options& options, const std::string& more_options) {
  if (options.output.empty()) return;
  spdlog::info("the rows so far are in {}.partial; the same command with --resume{} goes on", options.output,
               more_options);
}

std::string stop_reason(RunEnd end, const RunCounts& counts) {
  return end == RunEnd::kMaxErrors ? "--max-errors: stopped after bad row " + std::to_string(counts.num_bad_rows) : "";
}

int finish_run(const FinishedRun& finished, const Options& options, const StopSignals& stop,
               std::chrono::steady_clock::time_point start) {
  const auto& [end, run, hint, warning] = finished;
  const std::string ending = end == RunEnd::kStopped     ? interrupted_by(stop)
                             : end == RunEnd::kMaxErrors ? "stopped by --max-errors"
                                                         : "";
  if (options.progress != Progress::kNone) {
    log_summary(run, ending.empty() ? "" : ending + ": ", seconds_since(start));
  } else if (end == RunEnd::kStopped) {
    spdlog::info("{}", ending);  // the other ending is an error of its own
  }
  if (end != RunEnd::kInput) log_rows_so_far(options, end == RunEnd::kMaxErrors ? " and a larger --max-errors" : "");
  if (end == RunEnd::kInput && run.counts.num_scored_rows == 0 && !hint.empty()) {
    print_warning("no line could be scored: " + hint);
  }
  const bool has_seen_all = end == RunEnd::kInput && !options.shard && run.counts_before.num_lines == 0;
  if (has_seen_all && !warning.empty()) print_warning(warning);
  if (end == RunEnd::kStopped) return 128 + stop.signal_number();
  if (const auto reason = stop_reason(end, run.counts); !reason.empty()) print_error(reason);
  return exit_code(end, run.counts, options.errors_ok);
}

}  // namespace prm_score
