#include <chrono>

#include "command_parts.h"
#include <spdlog/spdlog.h>

#include "prm_score/cli/commands.h"
#include "prm_score/cli/model_folder.h"
#include "prm_score/model/quantized_checkpoint.h"

namespace prm_score {
namespace {

constexpr std::chrono::seconds kMessageInterval{10};
constexpr double kMegabyte = 1e6;

}  // namespace

int run_quantize(const Options& options, StopSignals& stop) {
  const auto start = std::chrono::steady_clock::now();
  if (options.files.size() != 1 || options.files[0] == "-") {
    throw UsageError("quantize: expected one name, of the folder to make, got " +
                     (options.files.size() == 1 ? "\"-\"" : std::to_string(options.files.size())));
  }
  const auto from = model_folder(options.model);
  auto last_message = start;
  const auto progress = [&](int64_t num_done, int64_t num_layers) {
    if (const auto now = std::chrono::steady_clock::now(); now - last_message >= kMessageInterval) {
      spdlog::info("{} of {} layers", num_done, num_layers);
      last_message = now;
    }
    return !stop.requested();
  };
  stop.finish_rows();  // a signal ends it after a layer, and nothing is left
  const auto size = write_quantized(from, options.files[0], options.threads, progress);
  if (!size) {
    spdlog::info("{}, nothing is left of {}", interrupted_by(stop), options.files[0]);
    return 128 + stop.signal_number();
  }
  spdlog::info("{}: {:.1f} MB of weights in place of {:.1f} MB, in {:.1f} s", options.files[0],
               static_cast<double>(size->num_bytes) / kMegabyte,
               static_cast<double>(size->num_bytes_before) / kMegabyte, seconds_since(start));
  return 0;
}

}  // namespace prm_score
