#include "scoring_parts.h"

#include <exception>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <utility>

#include "command_parts.h"
#include "fingerprint.h"
#include "host.h"
#include "written_files.h"
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "prm_score/cli/messages.h"
#include "prm_score/cli/scorer_options.h"
#include "prm_score/error.h"
#include "prm_score/io/output_file.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/model/torch_version.h"
#include "prm_score/text/prompt.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

HostMetadata host_of_run() {
  return {.cpu = cpu_name(),
          .instruction_set = cpu_instruction_set(),
          .kernel = kernel_name(),
          .os = os_name(),
          .num_processors = num_processors_here()};
}

Metadata metadata_before_run(const Options& options, const std::vector<std::string>& command_line) {
  Metadata metadata;
  metadata.versions = {
      {"prm_score", PRM_SCORE_VERSION}, {"unicode", std::string(unicode_version())}, {"torch", torch_version()}};
  metadata.host = host_of_run();
  metadata.command_line = command_line;
  metadata.options = effective_options(options);
  metadata.template_sha256 = template_sha256();
  return metadata;
}

// The exit code of `run`, or of what it throws; what stopped it goes to the user and into `stopped_by`.
int run_to_exit_code(const std::function<int()>& run, const StopSignals& stop, std::string& stopped_by) {
  try {
    return run();
  } catch (const StalledOutput&) {
    return 128 + stop.signal_number();
  } catch (const ClosedPipe& error) {
    stopped_by = error.what();
    return kClosedPipeExitCode;
  } catch (const std::system_error& error) {
    const bool is_thread = error.code() == std::errc::resource_unavailable_try_again;  // could not be started
    stopped_by = std::string(is_thread ? "no more threads of the system: " : "") + error.what();
    print_error(stopped_by);
    return 1;
  } catch (const std::exception& error) {
    stopped_by = error.what();
    print_error(error.what());
    return 1;
  }
}

// Of the checkpoint that a run has used; empty if it cannot be read any more.
std::map<std::string, std::string> sha256_of_opened(const Options& options) {
  try {
    return checkpoint_sha256(scorer_options(options));
  } catch (const Error& error) {
    spdlog::warn("--metadata: the checkpoint cannot be hashed: {}", error.what());
    return {};
  }
}

}  // namespace

RunCounts counts_with(RunCounts counts, const RowOrigin& origin, const DocumentReward& reward) {
  counts.num_lines = origin.num_lines;
  if (reward.error.empty()) {
    ++counts.num_scored_rows;
    counts.add(reward);
  } else {
    ++counts.num_bad_rows;
  }
  return counts;
}

ScorerOptions scorer_options_of_run(const Options& options, Metadata& metadata) {
  ScorerOptions scorer = scorer_options(options);
  scorer.warn = [&metadata](const std::string& warning) {
    print_warning(warning);
    metadata.replica_failures.push_back(warning);
  };
  return scorer;
}

void describe_checkpoint(Metadata& metadata, const ScorerOptions& options, const Scorer& scorer) {
  const auto& info = scorer.info();
  CheckpointMetadata checkpoint;
  std::error_code ignored;
  checkpoint.folder = std::filesystem::absolute(options.model, ignored).string();
  if (!options.random_weights.empty()) {
    checkpoint.random_weights = std::filesystem::absolute(options.random_weights, ignored).string();
  }
  checkpoint.model_type = info.model_type;
  checkpoint.label_a = options.label_a;
  checkpoint.label_b = options.label_b;
  checkpoint.label_a_id = info.label_a_id;
  checkpoint.label_b_id = info.label_b_id;
  checkpoint.tokenizer_file = scorer.tokenizer().file_name();
  checkpoint.tokenizer_sha256 = scorer.tokenizer().file_sha256();
  checkpoint.device = info.device;
  checkpoint.dtype = info.dtype;
  checkpoint.num_replicas = info.num_replicas;
  checkpoint.threads = info.threads;
  checkpoint.threads_per_replica = info.threads_per_replica;
  checkpoint.max_positions = info.max_positions;
  checkpoint.max_context = info.max_context;
  checkpoint.max_batch_tokens = info.max_batch_tokens;
  checkpoint.prefix_sharing = options.prefix_sharing;
  metadata.checkpoint = std::move(checkpoint);
  metadata.host.gpu_model = info.gpu.model;
  metadata.host.gpu_driver = info.gpu.driver;
  metadata.times.emplace();
  metadata.times->load = info.load_seconds;
  metadata.times->self_check = info.self_check_seconds;
  spdlog::info("{}: {} on {} in {}, {} {}", options.model.string(), info.model_type, info.device, info.dtype,
               info.threads, info.threads == 1 ? "thread" : "threads");
}

int run_with_metadata(const Options& options, const std::vector<std::string>& command_line, const StopSignals& stop,
                      const std::function<int(Metadata&)>& run, int error_code) {
  const auto start = std::chrono::steady_clock::now();
  check_written_files(options);
  Metadata metadata = metadata_before_run(options, command_line);
  bool has_thrown = true;
  const auto run_to_end = [&] {
    const int code = run(metadata);
    has_thrown = false;
    return code;
  };
  metadata.exit_code = run_to_exit_code(run_to_end, stop, metadata.stopped_by);
  if (has_thrown && metadata.exit_code == 1) metadata.exit_code = error_code;
  if (stop.signal_number() != 0 && metadata.exit_code == 128 + stop.signal_number()) {
    metadata.stopped_by = stop.signal_name();
  }
  metadata.elapsed_seconds = seconds_since(start);
  if (!options.metadata.empty() && metadata.checkpoint) metadata.checkpoint->sha256 = sha256_of_opened(options);
  if (!options.metadata.empty()) replace_file(options.metadata, format_metadata(metadata));
  return metadata.exit_code;
}

}  // namespace prm_score
