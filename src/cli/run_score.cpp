#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <utility>

#include "command_parts.h"
#include <spdlog/spdlog.h>

#include "prm_score/cli/commands.h"
#include "prm_score/cli/messages.h"
#include "prm_score/cli/model_folder.h"
#include "prm_score/io/metadata.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/io/row.h"
#include "prm_score/score/scorer.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

ScorerOptions scorer_options(const Options& options) {
  ScorerOptions scorer;
  scorer.model = model_folder(options.model);
  scorer.random_weights = options.random_weights;
  scorer.weight_memory = options.weight_memory;
  scorer.device = options.device;
  scorer.dtype = options.dtype;
  scorer.threads = options.threads;
  scorer.label_a = options.label_a;
  scorer.label_b = options.label_b;
  scorer.special_tokens = options.special_tokens;
  scorer.prompt = options.prompt;
  scorer.spans = options.spans;
  scorer.prefix_sharing = !options.no_prefix_sharing;
  scorer.self_check = options.self_check;
  scorer.max_batch_tokens = options.max_batch_tokens;
  return scorer;
}

Metadata metadata_before_run(const Options& options, const std::vector<std::string>& command_line) {
  Metadata metadata;
  metadata.versions = {{"prm_score", PRM_SCORE_VERSION}, {"unicode", std::string(unicode_version())}};
  metadata.command_line = command_line;
  metadata.options = effective_options(options);
  metadata.template_sha256 = template_sha256();
  return metadata;
}

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
}

class ReaderSource final : public LineSource {
 public:
  ReaderSource(JsonlReader& reader, StopSignals& stop) : reader_(reader), stop_(stop) {}
  std::optional<InputLine> next() override { return reader_.next(); }
  void interrupt() override { stop_.end_waits(); }

 private:
  JsonlReader& reader_;
  StopSignals& stop_;
};

int score_documents(const Options& options, StopSignals& stop, std::chrono::steady_clock::time_point start,
                    Metadata& metadata) {
  JsonlReader reader(reader_options(options, stop));
  JsonlWriter writer = standard_output();
  const auto opened = scorer_options(options);
  Scorer scorer(opened);
  describe_checkpoint(metadata, opened, scorer);
  spdlog::info("{}: {} on {} in {}, {} threads", opened.model.string(), scorer.info().model_type, scorer.info().device,
               scorer.info().dtype, scorer.info().threads);

  RunCounts& counts = metadata.counts;
  RunEnd end = RunEnd::kInput;
  const auto take = [&](const RowOrigin& origin, const DocumentReward& reward) {
    writer.write(format_row(origin, reward));
    counts.num_lines = origin.num_lines;
    if (reward.error.empty()) {
      ++counts.num_scored_rows;
      counts.add(reward);
    } else {
      ++counts.num_bad_rows;
    }
    const bool has_enough = options.max_errors && counts.num_bad_rows >= *options.max_errors;
    if (has_enough) end = RunEnd::kMaxErrors;
    return !has_enough;
  };
  stop.finish_rows();
  ReaderSource source(reader, stop);
  scorer.score(source, take, stop.requested());
  if (end != RunEnd::kMaxErrors) {
    if (stop.requested()) {
      end = RunEnd::kStopped;
    } else {
      counts.num_lines = reader.num_lines();  // blank ones at the end, too
    }
    writer.finish();
  }
  metadata.stopped_by = stop_reason(end, counts);
  return finish_run(end, counts, options, stop, start);
}

// The exit code of `run`, or of what it throws; what stopped it goes to the user and into `stopped_by`.
int run_to_exit_code(const std::function<int()>& run, std::string& stopped_by) {
  try {
    return run();
  } catch (const ClosedPipe& error) {
    stopped_by = error.what();
    return kClosedPipeExitCode;
  } catch (const std::exception& error) {
    stopped_by = error.what();
    print_error(error.what());
    return 1;
  }
}

// Throws UsageError if the metadata would be written over an input, Error if it cannot be written at all.
void check_metadata_file(const Options& options) {
  if (options.metadata.empty()) return;
  for (const std::string& file : options.files) {
    std::error_code not_there;
    if (std::filesystem::is_regular_file(file, not_there) &&
        std::filesystem::equivalent(options.metadata, file, not_there)) {
      throw UsageError("--metadata: expected another file than the input, got \"" + options.metadata + "\"");
    }
  }
  check_replaceable(options.metadata);
}

}  // namespace

int run_score(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop) {
  const auto start = std::chrono::steady_clock::now();
  check_metadata_file(options);
  Metadata metadata = metadata_before_run(options, command_line);
  metadata.exit_code =
      run_to_exit_code([&] { return score_documents(options, stop, start, metadata); }, metadata.stopped_by);
  if (stop.signal_number() != 0) metadata.stopped_by = stop.signal_name();
  metadata.elapsed_seconds = seconds_since(start);
  if (!options.metadata.empty()) replace_file(options.metadata, format_metadata(metadata));
  return metadata.exit_code;
}

}  // namespace prm_score
