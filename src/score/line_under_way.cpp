#include "prm_score/score/line_under_way.h"

#include <cmath>
#include <iterator>
#include <utility>
#include <variant>

#include "prm_score/score/reward.h"

namespace prm_score {
namespace {

// nan, inf or -inf. What sign a nan has is chance.
std::string name_of_non_finite(float number) { return std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf"; }

}  // namespace

void LineUnderWay::finish(std::vector<std::optional<float>> log_odds, LastChunk last_chunk) {
  for (size_t chunk = 0; chunk < log_odds.size(); ++chunk) {
    if (log_odds[chunk] && !std::isfinite(*log_odds[chunk])) {
      return fail("log_odds: chunk " + std::to_string(chunk) + ": expected finite logits, got " +
                  name_of_non_finite(*log_odds[chunk]));
    }
  }
  result.reward = mean_log_odds(log_odds, chunks, last_chunk);
  result.log_odds = std::move(log_odds);
  chunks = {};
  plan = {};
  is_done = true;
}

void LineUnderWay::fail(std::string error) {
  result = {};
  result.error = std::move(error);
  plan = {};
  is_done = true;
}

int64_t LineUnderWay::weight() const {
  const size_t num_bytes = origin.id_json.size() + origin.input_json.size() + result.error.size() +
                           result.spans.size() * sizeof(ChunkSpan) +
                           result.log_odds.size() * sizeof(std::optional<float>);
  return plan.num_rows() + 1 + static_cast<int64_t>(num_bytes / 1024);
}

LineUnderWay prepare(const PromptBuilder& builder, const PromptBuilder::Extras& extras, InputLine line) {
  LineUnderWay prepared;
  if (auto* bad = std::get_if<LineError>(&line)) {
    prepared.origin = std::move(bad->origin);
    prepared.fail(std::move(bad->reason));
    return prepared;
  }
  auto& document = std::get<Document>(line);
  prepared.origin = std::move(document.origin);
  DocumentPrompts prompts = builder.build(document, extras);
  if (!prompts.error.empty()) {
    prepared.fail(std::move(prompts.error));
    return prepared;
  }
  prepared.result.num_tokens = prompts.num_tokens;
  prepared.result.num_chunks = std::ssize(prompts.chunks);
  prepared.result.spans = std::move(prompts.spans);
  prepared.result.warnings = prompts.warnings;
  prepared.result.ids_sha256 = std::move(prompts.ids_sha256);
  prepared.chunks = std::move(prompts.chunks);
  prepared.plan = make_score_plan(std::move(prompts));
  return prepared;
}

}  // namespace prm_score
