// likely_causes.h - why rows are not the golden's any more, as far as what is known of both runs tells.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "prm_score/io/row_comparison.h"
#include "prm_score/io/run_state.h"

namespace prm_score {

// One line a cause, which starts with its kind:
//
//   fixtures     the input's lines are others
//   tokenizer    tokenizer.json, tokenizer.model or tokenizer_config.json is another
//   template     the prompt's text
//   checkpoint   weights or config.json
//   options      --chunk-size: 64 there, 32 now; files: other names or another order, whatever their folders
//   dtype        float32 there, bfloat16 now
//   numerics     none of these: what else was recorded, CPU, libtorch and the like
//   unknown      nothing that was recorded differs, or `golden` is not known
//
// `golden`, `now`: fingerprint, records and progress.input_sha256 of the two runs; in the lines the golden's is
// "there". Empty if nothing moved. Pure.
[[nodiscard]] std::vector<std::string> likely_causes(const RowComparison& comparison,
                                                     const std::optional<RunState>& golden, const RunState& now);

}  // namespace prm_score
