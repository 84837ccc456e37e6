#include <exception>
#include <string>

#include <unistd.h>

#include "prm_score/cli/bus_errors.h"
#include "prm_score/cli/commands.h"
#include "prm_score/cli/messages.h"
#include "prm_score/cli/options.h"
#include "prm_score/cli/pipeline.h"
#include "prm_score/cli/standard_streams.h"
#include "prm_score/cli/stop_signals.h"
#include "prm_score/cli/thread_waiting.h"
#include "prm_score/io/jsonl_writer.h"

namespace prm_score {
namespace {

int run(int argc, char** argv) {
  StopSignals stop;
  const auto parsed = parse_command_line(argc, argv, version_text());
  if (parsed.text) {
    JsonlWriter(STDOUT_FILENO, "standard output").write(*parsed.text);
    return 0;
  }
  set_up_logging(parsed.options.log_level);
  for (const std::string& warning : parsed.warnings) print_warning(warning);
  return run_command(parsed.options, {argv, argv + argc}, stop);
}

int run_to_exit_code(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const UsageError& error) {
    print_error(error.what());
    return 2;
  } catch (const ClosedPipe&) {
    return kClosedPipeExitCode;
  } catch (const std::exception& error) {
    print_error(error.what());
    return 1;
  }
}

}  // namespace
}  // namespace prm_score

int main(int argc, char** argv) {
  prm_score::shorten_thread_spinning(argv);
  prm_score::secure_standard_streams();
  prm_score::explain_bus_errors();
  return prm_score::run_to_exit_code(argc, argv);
}
