// row.h - the lines that the program writes. Each is one JSON object and ends with LF.
#pragma once

#include <string>
#include <vector>

#include "prm_score/text/document.h"
#include "prm_score/text/prompt.h"

namespace prm_score {

// The row of a scored document, or its error row if `reward.error` is set.
[[nodiscard]] std::string format_row(const RowOrigin& origin, const DocumentReward& reward);

// The values of `spans` and `warnings` in it; empty if it does not have the field.
[[nodiscard]] std::string format_spans(const std::vector<ChunkSpan>& spans);
[[nodiscard]] std::string format_warnings(const DocumentWarnings& warnings);

// The row of a line or document that cannot be scored.
[[nodiscard]] std::string format_error_row(const LineError& error);

// The row of a preference pair, for `prm-score pairs`, or its error row if `reward.error` is set.
[[nodiscard]] std::string format_pair_row(const RowOrigin& origin, const PairReward& reward);

// The row of one prompt of a document, for `prm-score prompts`; built with prompt texts.
[[nodiscard]] std::string format_prompt_row(const RowOrigin& origin, const DocumentPrompts& document,
                                            const Prompt& prompt);

}  // namespace prm_score
