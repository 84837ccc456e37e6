#include "prm_score/score/scorer.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include <ATen/Version.h>

#include "prm_score/error.h"
#include "prm_score/model/cpu_step_model.h"
#include "prm_score/model/device.h"
#include "prm_score/model/device_step_model.h"
#include "prm_score/model/precision.h"
#include "prm_score/model/splitting_step_model.h"
#include "prm_score/model/torch_version.h"
#include "prm_score/score/oracle_engine.h"
#include "prm_score/score/self_check.h"
#include "prm_score/score/shared_prefix_engine.h"

namespace prm_score {
namespace {

// By the checkpoint's config.json. Throws Error.
Precision precision_of(const ScorerOptions& options, at::Device device) {
  const bool is_random = !options.random_weights.empty();
  return parse_precision(options.dtype, device,
                         is_random ? Quantization::kNone : load_model_config(options.model).quantization);
}

WeightOptions weight_options(const ScorerOptions& options, const Tokenizer& tokenizer, at::Device device) {
  WeightOptions weights;
  weights.layer_memory = options.weight_memory;
  weights.device = device;
  weights.precision = precision_of(options, device);
  weights.keep_layers = !(device.is_cpu() && options.prefix_sharing);
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
  const int64_t free = available_device_memory_bytes(device) / 2 - bytes_per_block(config, options.precision.dtype);
  const int64_t fitting = std::max<int64_t>(0, free) / bytes_per_row(config, options.precision.dtype);
  const int64_t blocks = fitting / DeviceStepModel::kBlockRows;
  return blocks > 0 ? std::min(kMost, blocks * DeviceStepModel::kBlockRows) : std::max(kMinBatchTokens, fitting);
}

GpuName name_of(at::Device device) {
  return device.is_cpu() ? GpuName{} : GpuName{.model = gpu_model(device.index()), .driver = gpu_driver_version()};
}

std::string joined(const std::vector<at::Device>& devices) {
  std::string names;
  for (const at::Device device : devices) names.append(names.empty() ? "" : ",").append(device.str());
  return names;
}

// Before anything else of libtorch is used.
std::vector<at::Device> devices_of(const ScorerOptions& options) {
  expect_torch_of_build();
  return parse_devices(options.device);
}

NumThreads set_threads(const ScorerOptions& options, const std::vector<at::Device>& devices) {
  const NumThreads threads = split_threads(options.threads, std::ssize(devices));
  set_num_threads(threads.per_replica);
  return threads;
}

}  // namespace

struct Scorer::Impl {
  explicit Impl(const ScorerOptions& scorer_options)
      : options(scorer_options),
        devices(devices_of(options)),
        threads(set_threads(options, devices)),
        tokenizer(load_tokenizer(options.model, {.special_tokens = options.special_tokens})),
        models(load_models()),
        prompt_builder(*tokenizer, options.prompt, config().max_positions()) {
    if (tokenizer->vocab_size() > config().vocab_size) {
      const auto file = options.random_weights.empty() ? options.model / "config.json" : options.random_weights;
      throw Error(file.string() + ": vocab_size: expected at least " + std::to_string(tokenizer->vocab_size()) +
                  ", as " + tokenizer->file_name() + " has ids up to there, got " +
                  std::to_string(config().vocab_size));
    }
    const WeightOptions& weights = models[0]->options;
    info.model_type = config().model_type;
    info.device = joined(devices);
    info.dtype = precision_name(weights.precision);
    info.num_replicas = static_cast<int>(devices.size());
    info.threads = threads.all;
    info.threads_per_replica = threads.per_replica;
    info.max_positions = config().max_positions();
    info.max_context = prompt_builder.max_context();
    info.max_batch_tokens = max_batch_tokens();
    info.label_a_id = weights.label_a_id;
    info.label_b_id = weights.label_b_id;
    info.torch_version = torch_version();
    info.gpu = name_of(devices[0]);
    make_replicas();
    const bool is_wanted = options.self_check.value_or(!devices[0].is_cpu());
    if (!options.prefix_sharing || !is_wanted) return;
    const ScopedSeconds timed(info.self_check_seconds);
    for (const Replica& replica : replicas) replica.check();
  }

  [[nodiscard]] const ModelConfig& config() const { return models[0]->config; }

  // One for all replicas on the CPU, one for each on GPUs.
  [[nodiscard]] std::vector<std::shared_ptr<const LoadedModel>> load_models() const {
    std::vector<std::shared_ptr<const LoadedModel>> loaded;
    for (const at::Device device : devices) {
      const bool is_there = !loaded.empty() && device.is_cpu();
      loaded.push_back(is_there ? loaded[0] : load(options, weight_options(options, *tokenizer, device)));
    }
    return loaded;
  }

  [[nodiscard]] int64_t max_batch_tokens() const {
    if (options.max_batch_tokens > 0) return std::max(options.max_batch_tokens, kMinBatchTokens);
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const auto& model : models) least = std::min(least, default_max_batch_tokens(*model, threads.per_replica));
    return least;
  }

  void make_replicas() {
    std::unique_ptr<CpuStepModel> first;  // holds the layers that all replicas on the CPU share
    for (size_t i = 0; i < devices.size(); ++i) {
      if (devices[i].is_cpu() && options.prefix_sharing && !first) first = std::make_unique<CpuStepModel>(models[i]);
      engines.push_back(make_engine(models[i], first.get()));
      replicas.push_back({.engine = engines[i].get(),
                          .name = devices[i].str(),
                          .begin = [n = threads.per_replica] { set_own_num_threads(n); },
                          .check = [engine = engines[i].get(), model = models[i]] { self_check(*engine, model); }});
      if (devices[i].is_cpu() && devices.size() > 1) replicas[i].name += " replica " + std::to_string(i);
    }
  }

  [[nodiscard]] std::unique_ptr<Engine> make_engine(const std::shared_ptr<const LoadedModel>& model,
                                                    const CpuStepModel* on_cpu) const {
    if (!options.prefix_sharing) return std::make_unique<OracleEngine>(model);
    std::unique_ptr<StepModel> steps;
    if (on_cpu != nullptr) {
      steps = on_cpu->replica();
    } else {
      steps = std::make_unique<DeviceStepModel>(model);
    }
    return std::make_unique<SharedPrefixEngine>(std::make_unique<SplittingStepModel>(std::move(steps)),
                                                info.max_batch_tokens);
  }

  // No row leaves that may come from weights that somebody has written over.
  void expect_unchanged() const {
    for (const auto& model : models) {
      if (&model == &models[0] || model != models[0]) model->weights.expect_unchanged();
    }
  }

  ScorerOptions options;
  std::vector<at::Device> devices;  // of each replica
  NumThreads threads;               // set before the first tensor is made
  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<std::shared_ptr<const LoadedModel>> models;  // of each replica
  PromptBuilder prompt_builder;
  ScorerInfo info;
  std::vector<std::unique_ptr<Engine>> engines;  // of each replica
  std::vector<Replica> replicas;
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
  const std::vector<at::Device> devices = devices_of(options);
  const NumThreads threads = set_threads(options, devices);
  return {.device = joined(devices),
          .dtype = std::string(precision_name(precision_of(options, devices[0]))),
          .threads = threads.all,
          .threads_per_replica = threads.per_replica,
          .gpu = name_of(devices[0])};
}

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
                                 .times = times,
                                 .warn = impl_->options.warn};
  const TakeReward take_if_unchanged = [&](const RowOrigin& origin, const DocumentReward& reward) {
    impl_->expect_unchanged();
    return take(origin, reward);
  };
  score_stream(impl_->prompt_builder, impl_->replicas, options, source, take_if_unchanged);
}

}  // namespace prm_score
