#include "prm_score/score/scorer.h"

#include <cmath>
#include <utility>
#include <vector>

#include <torch/version.h>

#include "prm_score/error.h"
#include "prm_score/model/device.h"
#include "prm_score/model/transformer.h"
#include "prm_score/score/reward.h"

namespace prm_score {
namespace {

const std::atomic<bool> kNeverStop = false;

WeightOptions weight_options(const ScorerOptions& options, const Tokenizer& tokenizer) {
  WeightOptions weights;
  weights.device = parse_device(options.device);
  weights.dtype = parse_dtype(options.dtype, weights.device);
  weights.label_a_id = tokenizer.label_id(options.label_a);
  weights.label_b_id = tokenizer.label_id(options.label_b);
  if (weights.label_a_id == weights.label_b_id) {
    throw Error("labels: expected two different tokens, got id " + std::to_string(weights.label_a_id) + " for both \"" +
                options.label_a + "\" and \"" + options.label_b + "\"");
  }
  return weights;
}

// nan, inf or -inf. What sign a nan has is chance.
std::string name_of_non_finite(float number) { return std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf"; }

DocumentReward bad_document(std::string error) {
  DocumentReward result;
  result.error = std::move(error);
  return result;
}

}  // namespace

struct Scorer::Impl {
  explicit Impl(const ScorerOptions& scorer_options)
      : options(scorer_options),
        threads(set_num_threads(options.threads)),
        tokenizer(load_tokenizer(options.model, {.special_tokens = options.special_tokens})),
        judge(options.model, weight_options(options, *tokenizer)),
        prompt_builder(*tokenizer, options.prompt, judge.config().max_positions()) {
    const ModelConfig& config = judge.config();
    if (tokenizer->vocab_size() > config.vocab_size) {
      throw Error("config.json: vocab_size: expected at least " + std::to_string(tokenizer->vocab_size()) + ", as " +
                  tokenizer->file_name() + " has ids up to there, got " + std::to_string(config.vocab_size));
    }
    info.model_type = config.model_type;
    info.device = judge.device().str();
    info.dtype = dtype_name(judge.dtype());
    info.threads = threads;
    info.max_positions = config.max_positions();
    info.max_context = prompt_builder.max_context();
    info.label_a_id = tokenizer->label_id(options.label_a);
    info.label_b_id = tokenizer->label_id(options.label_b);
    info.torch_version = TORCH_VERSION;
  }

  // One entry per chunk, nullopt where no prompt is; or nullopt if told to stop.
  [[nodiscard]] std::optional<std::vector<std::optional<float>>> judge_chunks(const DocumentPrompts& prompts,
                                                                              const std::atomic<bool>& stop) const {
    std::vector<std::optional<float>> log_odds(prompts.chunks.size());
    for (const Prompt& prompt : prompts.prompts) {
      if (stop) return std::nullopt;
      log_odds[prompt.chunk] = judge.log_odds(prompts.input_ids(prompt));
    }
    return log_odds;
  }

  ScorerOptions options;
  int threads;  // set before the first tensor is made
  std::unique_ptr<Tokenizer> tokenizer;
  Transformer judge;
  PromptBuilder prompt_builder;
  ScorerInfo info;
};

Scorer::Scorer(const ScorerOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Scorer::~Scorer() = default;
Scorer::Scorer(Scorer&&) noexcept = default;
Scorer& Scorer::operator=(Scorer&&) noexcept = default;

const ScorerInfo& Scorer::info() const { return impl_->info; }
const Tokenizer& Scorer::tokenizer() const { return *impl_->tokenizer; }

DocumentReward Scorer::score(const Document& document) const { return *score(document, kNeverStop); }

std::optional<DocumentReward> Scorer::score(const Document& document, const std::atomic<bool>& stop) const {
  DocumentPrompts prompts = impl_->prompt_builder.build(document, {.spans = impl_->options.spans});
  if (!prompts.error.empty()) return bad_document(std::move(prompts.error));

  auto log_odds = impl_->judge_chunks(prompts, stop);
  if (!log_odds) return std::nullopt;
  for (size_t chunk = 0; chunk < log_odds->size(); ++chunk) {
    if ((*log_odds)[chunk] && !std::isfinite(*(*log_odds)[chunk])) {
      return bad_document("log_odds: chunk " + std::to_string(chunk) + ": expected finite logits, got " +
                          name_of_non_finite(*(*log_odds)[chunk]));
    }
  }

  DocumentReward result;
  result.reward = mean_log_odds(*log_odds, prompts.chunks, impl_->options.prompt.last_chunk);
  result.num_tokens = prompts.num_tokens;
  result.num_chunks = static_cast<int64_t>(prompts.chunks.size());
  result.log_odds = std::move(*log_odds);
  result.spans = std::move(prompts.spans);
  result.warnings = prompts.warnings;
  return result;
}

}  // namespace prm_score
