#include "prm_score/cli/messages.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace prm_score {

void set_up_logging(const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>("prm-score", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%n: %v");
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

void print_error(std::string_view message) {
  std::string line = "prm-score: " + std::string(message);
  std::replace(line.begin(), line.end(), '\n', ' ');
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);  // nobody is left to tell if this fails
}

}  // namespace prm_score
