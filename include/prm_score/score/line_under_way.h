// line_under_way.h - a line of the input on its way from the source to its row.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "prm_score/score/score_plan.h"
#include "prm_score/text/document.h"
#include "prm_score/text/prompt.h"

namespace prm_score {

struct LineUnderWay {
  RowOrigin origin;
  DocumentReward result;  // all but what the judge says; a set `error` is final
  std::vector<Chunk> chunks;
  ScorePlan plan;
  bool is_done = false;  // nothing is left for the judge to say

  // Fills in what the judge said of every chunk; a number that is not finite makes the document a bad one.
  void finish(std::vector<std::optional<float>> log_odds, LastChunk last_chunk);

  // Makes it a bad line.
  void fail(std::string error);

  // Memory that it takes, in rows of a step: about 1 KB counts as one.
  [[nodiscard]] int64_t weight() const;
};

// Tokenises and plans; a line that cannot be scored is done.
[[nodiscard]] LineUnderWay prepare(const PromptBuilder& builder, const PromptBuilder::Extras& extras, InputLine line);

}  // namespace prm_score
