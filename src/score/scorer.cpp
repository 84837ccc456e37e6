#include "prm_score/score/scorer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <ATen/Version.h>
#include <torch/version.h>

#include "prm_score/error.h"
#include "prm_score/model/cpu_step_model.h"
#include "prm_score/model/device.h"
#include "prm_score/model/device_step_model.h"
#include "prm_score/model/splitting_step_model.h"
#include "prm_score/score/oracle_engine.h"
#include "prm_score/score/self_check.h"
#include "prm_score/score/shared_prefix_engine.h"

namespace prm_score {
namespace {

WeightOptions weight_options(const ScorerOptions& options, const Tokenizer& tokenizer) {
  WeightOptions weights;
  weights.layer_memory = options.weight_memory;
  weights.device = parse_device(options.device);
  weights.dtype = parse_dtype(options.dtype, weights.device);
  weights.keep_layers = !(weights.device.is_cpu() && options.prefix_sharing);
  weights.label_a_id = tokenizer.label_id(options.label_a);
  weights.label_b_id = tokenizer.label_id(options.label_b);
  if (weights.label_a_id == weights.label_b_id) {
    throw Error("labels: expected two different tokens, got id " + std::to_string(weights.label_a_id) + " for both \"" +
                options.label_a + "\" and \"" + options.label_b + "\"");
  }
  return weights;
}

std::shared_ptr<const LoadedModel> load(const ScorerOptions& options, const WeightOptions& weights) {
  return options.random_weights.empty() ? load_model(options.model, weights)
                                        : random_model(options.random_weights, weights);
}

// Rows of a step if nobody says otherwise. On the CPU enough blocks for every thread to get several, in little memory;
// on a GPU what keeps it busy, in half of the memory that the weights leave.
int64_t default_max_batch_tokens(const LoadedModel& model, int num_threads) {
  const at::Device device = model.options.device;
  if (device.is_cpu()) return std::max<int64_t>(2048, int64_t{512} * num_threads);
  constexpr int64_t kMost = 4 * DeviceStepModel::kBlockRows;
  const auto& [config, options, weights] = model;
  const int64_t free = available_device_memory_bytes(device) / 2 - bytes_per_block(config, options.dtype);
  const int64_t fitting = std::max<int64_t>(0, free) / bytes_per_row(config, options.dtype);
  const int64_t blocks = fitting / DeviceStepModel::kBlockRows;
  return blocks > 0 ? std::min(kMost, blocks * DeviceStepModel::kBlockRows) : std::max(kMinBatchTokens, fitting);
}

GpuName name_of(at::Device device) {
  return device.is_cpu() ? GpuName{} : GpuName{.model = gpu_model(device.index()), .driver = gpu_driver_version()};
}

std::unique_ptr<StepModel> make_step_model(const std::shared_ptr<const LoadedModel>& model) {
  if (model->options.device.is_cpu()) return std::make_unique<CpuStepModel>(model);
  return std::make_unique<DeviceStepModel>(model);
}

}  // namespace

struct Scorer::Impl {
  explicit Impl(const ScorerOptions& scorer_options)
      : options(scorer_options),
        threads(set_num_threads(options.threads)),
        tokenizer(load_tokenizer(options.model, {.special_tokens = options.special_tokens})),
        model(load(options, weight_options(options, *tokenizer))),
        prompt_builder(*tokenizer, options.prompt, model->config.max_positions()) {
    const ModelConfig& config = model->config;
    if (tokenizer->vocab_size() > config.vocab_size) {
      throw Error("config.json: vocab_size: expected at least " + std::to_string(tokenizer->vocab_size()) + ", as " +
                  tokenizer->file_name() + " has ids up to there, got " + std::to_string(config.vocab_size));
    }
    info.model_type = config.model_type;
    info.device = model->options.device.str();
    info.dtype = dtype_name(model->options.dtype);
    info.threads = threads;
    info.max_positions = config.max_positions();
    info.max_context = prompt_builder.max_context();
    info.max_batch_tokens = options.max_batch_tokens > 0 ? std::max(options.max_batch_tokens, kMinBatchTokens)
                                                         : default_max_batch_tokens(*model, threads);
    info.label_a_id = model->options.label_a_id;
    info.label_b_id = model->options.label_b_id;
    info.torch_version = torch_version();
    info.gpu = name_of(model->options.device);
    engine = make_engine();
    const bool is_wanted = options.self_check.value_or(!model->options.device.is_cpu());
    if (options.prefix_sharing && is_wanted) check_engine();
  }

  void check_engine() {
    const ScopedSeconds timed(info.self_check_seconds);
    self_check(*engine, model);
  }

  [[nodiscard]] std::unique_ptr<Engine> make_engine() const {
    if (!options.prefix_sharing) return std::make_unique<OracleEngine>(model);
    return std::make_unique<SharedPrefixEngine>(std::make_unique<SplittingStepModel>(make_step_model(model)),
                                                info.max_batch_tokens);
  }

  ScorerOptions options;
  int threads;  // set before the first tensor is made
  std::unique_ptr<Tokenizer> tokenizer;
  std::shared_ptr<const LoadedModel> model;
  PromptBuilder prompt_builder;
  ScorerInfo info;
  std::unique_ptr<Engine> engine;
};

namespace {

// A single document as a source.
class OneDocument final : public LineSource {
 public:
  explicit OneDocument(const Document& document) : document_(document) {}
  std::optional<InputLine> next() override { return std::exchange(document_, std::nullopt); }
  void interrupt() override {}

 private:
  std::optional<Document> document_;
};

}  // namespace

ResolvedDevice resolve_device(const ScorerOptions& options) {
  const at::Device device = parse_device(options.device);
  return {.device = device.str(),
          .dtype = std::string(dtype_name(parse_dtype(options.dtype, device))),
          .threads = set_num_threads(options.threads),
          .gpu = name_of(device)};
}

std::string torch_version() { return TORCH_VERSION; }

int num_processors_here() { return num_processors(); }

std::string cpu_instruction_set() { return at::get_cpu_capability(); }

Scorer::Scorer(const ScorerOptions& options) {
  double seconds = 0;
  {
    const ScopedSeconds timed(seconds);
    impl_ = std::make_unique<Impl>(options);
  }
  impl_->info.load_seconds = seconds - impl_->info.self_check_seconds;
}
Scorer::~Scorer() = default;
Scorer::Scorer(Scorer&&) noexcept = default;
Scorer& Scorer::operator=(Scorer&&) noexcept = default;

const ScorerInfo& Scorer::info() const { return impl_->info; }
const Tokenizer& Scorer::tokenizer() const { return *impl_->tokenizer; }

DocumentReward Scorer::score(const Document& document) {
  const std::atomic<bool> never = false;
  OneDocument source(document);
  DocumentReward result;
  score(
      source, [&](const RowOrigin&, const DocumentReward& reward) { return result = reward, true; }, never);
  return result;
}

void Scorer::score(LineSource& source, const TakeReward& take, const std::atomic<bool>& stop, StageTimes* times) {
  const StreamOptions options = {.max_rows = impl_->info.max_batch_tokens,
                                 .last_chunk = impl_->options.prompt.last_chunk,
                                 .spans = impl_->options.spans,
                                 .ids_sha256 = impl_->options.ids_sha256,
                                 .stop = &stop,
                                 .times = times};
  // No row leaves that may come from weights that somebody has written over.
  const TakeReward take_if_unchanged = [&](const RowOrigin& origin, const DocumentReward& reward) {
    impl_->model->weights.expect_unchanged();
    return take(origin, reward);
  };
  score_stream(impl_->prompt_builder, *impl_->engine, options, source, take_if_unchanged);
}

}  // namespace prm_score
