#include "scoring_parts.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "command_parts.h"
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "prm_score/cli/messages.h"
#include "prm_score/error.h"
#include "prm_score/io/output_file.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/text/prompt.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

bool reads_standard_input(const Options& options) {
  return options.files.empty() || std::ranges::find(options.files, "-") != options.files.end();
}

bool is_file_of(int fd, const std::string& path) {
  std::error_code not_there;
  return std::filesystem::is_regular_file(path, not_there) && is_open_as(fd, path);
}

bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  return target_of(a) == target_of(b);
}

// Throws UsageError if what is written to `file` would be written over an input.
void expect_no_input(const Options& options, const char* option, const std::string& file) {
  bool is_input = reads_standard_input(options) && is_file_of(STDIN_FILENO, file);
  for (const std::string& input : options.files) {
    std::error_code not_there;
    is_input |= std::filesystem::is_regular_file(input, not_there) && is_same_file(input, file);
  }
  if (is_input) throw UsageError(std::string(option) + ": expected another file than the input, got \"" + file + "\"");
}

// Throws Error if `path` is a file with something else: rows, say, or a checkpoint's config.json.
void expect_metadata_or_nothing(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error) || std::filesystem::file_size(path, error) == 0) return;
  if (is_file_of(STDERR_FILENO, path)) return;  // is added to
  std::ifstream in(path);
  std::string line;
  constexpr std::string_view kBegin[] = {"{", "  \"versions\": {"};
  for (const std::string_view expected : kBegin) {
    if (std::getline(in, line) && line == expected) continue;
    throw Error("--metadata: " + path + ": expected no file, or the metadata of an earlier run, found something else");
  }
}

// Throws UsageError if a file would be written over another, Error if the metadata cannot be written at all.
void check_written_files(const Options& options) {
  const std::vector<std::string> names =
      options.output.empty() ? std::vector<std::string>() : OutputFile::names_of(options.output);
  for (const std::string& name : names) expect_no_input(options, "--output", name);
  if (options.metadata.empty()) return;
  expect_no_input(options, "--metadata", options.metadata);
  for (const std::string& name : names) {
    if (is_same_file(options.metadata, name)) {
      throw UsageError("--metadata: expected another file than those of --output, got \"" + options.metadata + "\"");
    }
  }
  if (is_file_of(STDOUT_FILENO, options.metadata)) {
    throw UsageError("--metadata: expected another file than the rows' (standard output), got \"" + options.metadata +
                     "\"");
  }
  check_replaceable(options.metadata);
  expect_metadata_or_nothing(options.metadata);
}

Metadata metadata_before_run(const Options& options, const std::vector<std::string>& command_line) {
  Metadata metadata;
  metadata.versions = {{"prm_score", PRM_SCORE_VERSION}, {"unicode", std::string(unicode_version())}};
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

}  // namespace

void describe_checkpoint(Metadata& metadata, const ScorerOptions& options, const Scorer& scorer) {
  const auto& info = scorer.info();
  metadata.versions.emplace_back("torch", info.torch_version);
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
  checkpoint.threads = info.threads;
  checkpoint.max_positions = info.max_positions;
  checkpoint.max_context = info.max_context;
  checkpoint.max_batch_tokens = info.max_batch_tokens;
  checkpoint.prefix_sharing = options.prefix_sharing;
  metadata.checkpoint = std::move(checkpoint);
  spdlog::info("{}: {} on {} in {}, {} threads", options.model.string(), info.model_type, info.device, info.dtype,
               info.threads);
}

int run_with_metadata(const Options& options, const std::vector<std::string>& command_line, const StopSignals& stop,
                      const std::function<int(Metadata&)>& run) {
  const auto start = std::chrono::steady_clock::now();
  check_written_files(options);
  Metadata metadata = metadata_before_run(options, command_line);
  metadata.exit_code = run_to_exit_code([&] { return run(metadata); }, stop, metadata.stopped_by);
  if (stop.signal_number() != 0 && metadata.exit_code == 128 + stop.signal_number()) {
    metadata.stopped_by = stop.signal_name();
  }
  metadata.elapsed_seconds = seconds_since(start);
  if (!options.metadata.empty()) replace_file(options.metadata, format_metadata(metadata));
  return metadata.exit_code;
}

}  // namespace prm_score
