#include "prm_score/score/scorer.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include <torch/version.h>

#include "prm_score/error.h"
#include "prm_score/model/cpu_step_model.h"
#include "prm_score/model/device.h"
#include "prm_score/model/device_step_model.h"
#include "prm_score/model/splitting_step_model.h"
#include "prm_score/score/bounded_queue.h"
#include "prm_score/score/engine.h"
#include "prm_score/score/reward.h"
#include "prm_score/score/score_plan.h"
#include "prm_score/score/self_check.h"

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

// nan, inf or -inf. What sign a nan has is chance.
std::string name_of_non_finite(float number) { return std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf"; }

DocumentReward bad_document(std::string error) {
  DocumentReward result;
  result.error = std::move(error);
  return result;
}

// A line on its way from the source to its row.
struct LineUnderWay {
  RowOrigin origin;
  DocumentReward result;  // all but what the judge says; a set `error` is final
  std::vector<Chunk> chunks;
  ScorePlan plan;
  bool is_done = false;

  // In rows of a step. A line without rows takes memory, too: about 1 KB a row counts.
  [[nodiscard]] int64_t weight() const {
    const size_t num_bytes = origin.id_json.size() + origin.input_json.size() + result.error.size() +
                             result.spans.size() * sizeof(ChunkSpan);
    return plan.num_rows() + 1 + static_cast<int64_t>(num_bytes / 1024);
  }
};

// Fills in what the judge said of every chunk.
void finish(LineUnderWay& line, std::vector<std::optional<float>> log_odds, LastChunk last_chunk) {
  line.is_done = true;
  for (size_t chunk = 0; chunk < log_odds.size(); ++chunk) {
    if (log_odds[chunk] && !std::isfinite(*log_odds[chunk])) {
      line.result = bad_document("log_odds: chunk " + std::to_string(chunk) + ": expected finite logits, got " +
                                 name_of_non_finite(*log_odds[chunk]));
      return;
    }
  }
  line.result.reward = mean_log_odds(log_odds, line.chunks, last_chunk);
  line.result.log_odds = std::move(log_odds);
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
    engine = make_engine();
    const bool is_wanted = options.self_check.value_or(!model->options.device.is_cpu());
    if (options.prefix_sharing && is_wanted) self_check(*engine, model);
  }

  [[nodiscard]] std::unique_ptr<Engine> make_engine() const {
    if (!options.prefix_sharing) return std::make_unique<OracleEngine>(model);
    return std::make_unique<SharedPrefixEngine>(std::make_unique<SplittingStepModel>(make_step_model(model)),
                                                info.max_batch_tokens);
  }

  [[nodiscard]] LineUnderWay prepare(InputLine line) const {
    LineUnderWay prepared;
    if (auto* bad = std::get_if<LineError>(&line)) {
      prepared.origin = std::move(bad->origin);
      prepared.result = bad_document(std::move(bad->reason));
      prepared.is_done = true;
      return prepared;
    }
    auto& document = std::get<Document>(line);
    prepared.origin = std::move(document.origin);
    DocumentPrompts prompts = prompt_builder.build(document, {.spans = options.spans});
    if (!prompts.error.empty()) {
      prepared.result = bad_document(std::move(prompts.error));
      prepared.is_done = true;
      return prepared;
    }
    prepared.result.num_tokens = prompts.num_tokens;
    prepared.result.num_chunks = std::ssize(prompts.chunks);
    prepared.result.spans = std::move(prompts.spans);
    prepared.result.warnings = prompts.warnings;
    prepared.chunks = std::move(prompts.chunks);
    prepared.plan = make_score_plan(std::move(prompts));
    return prepared;
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

// Lines read and tokenised ahead on a thread of their own.
class ReadAhead {
 public:
  // `prepare`: from a line of the source to a LineUnderWay. At most `max_rows` rows are kept ready.
  template <typename Prepare>
  ReadAhead(LineSource& source, Prepare prepare, int64_t max_rows) : source_(source), queue_(max_rows) {
    thread_ = std::thread([this, prepare] {
      try {
        while (auto line = source_.next()) {
          LineUnderWay prepared = prepare(*std::move(line));
          const int64_t weight = prepared.weight();
          if (!queue_.push(std::move(prepared), weight)) return;
        }
        queue_.close();
      } catch (...) {
        queue_.close(std::current_exception());
      }
    });
  }
  ~ReadAhead() {
    queue_.cancel();
    source_.interrupt();
    thread_.join();
  }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  [[nodiscard]] BoundedQueue<LineUnderWay>& queue() { return queue_; }

 private:
  LineSource& source_;
  BoundedQueue<LineUnderWay> queue_;
  std::thread thread_;
};

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
          .threads = set_num_threads(options.threads)};
}

std::string torch_version() { return TORCH_VERSION; }

Scorer::Scorer(const ScorerOptions& options) : impl_(std::make_unique<Impl>(options)) {}
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

void Scorer::score(LineSource& source, const TakeReward& take, const std::atomic<bool>& stop) {
  const int64_t max_rows = impl_->info.max_batch_tokens;
  Engine* const engine = impl_->engine.get();
  engine->clear();
  std::deque<LineUnderWay> under_way;  // in the order of the input
  std::deque<int64_t> weights;         // of each
  int64_t weight_under_way = 0;        // of those that wait for their turn, rows that are done counted on
  int64_t num_taken = 0;               // lines that have left under_way: a line's ticket is num_taken + its place
  ReadAhead ahead(
      source, [this](InputLine line) { return impl_->prepare(std::move(line)); }, 2 * max_rows);

  while (!stop) {
    // What is there, up to a full step; wait only if nothing is under way.
    while (engine->num_rows_waiting() < max_rows && (under_way.empty() || weight_under_way < 4 * max_rows)) {
      auto line = under_way.empty() ? ahead.queue().pop() : ahead.queue().try_pop();
      if (!line) break;
      const int64_t ticket = num_taken + std::ssize(under_way);
      weights.push_back(line->weight());
      weight_under_way += weights.back();
      if (!line->is_done) engine->add(ticket, std::move(line->plan), line->result.num_chunks);
      under_way.push_back(*std::move(line));
    }
    if (under_way.empty()) return;

    if (!under_way.front().is_done) {
      for (JudgedPlan& judged : engine->run_step()) {
        finish(under_way[judged.ticket - num_taken], std::move(judged.log_odds), impl_->options.prompt.last_chunk);
      }
    }
    while (!under_way.empty() && under_way.front().is_done) {
      if (!take(under_way.front().origin, under_way.front().result)) return;
      under_way.pop_front();
      weight_under_way -= weights.front();
      weights.pop_front();
      ++num_taken;
    }
  }
}

}  // namespace prm_score
