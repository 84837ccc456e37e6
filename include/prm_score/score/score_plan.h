// score_plan.h - which rows the model computes for one document, so that what its prompts share is computed once.
//
//   trunk     t0 t1 t2 t3 t4 t5 t6 t7        rows of the context
//   branch 0  |  b b b b                     what prompt 0 has after its longest common prefix with the trunk
//   branch 1        |  b b b b               a row sees its trunk's prefix, and its own branch up to itself
//
// Under causal attention a row depends on the ids before it alone, so the shared rows serve every prompt: the numbers
// are those of one pass per prompt. N chunks take about 151 N rows in place of 32 N^2 (chunk size 64).
#pragma once

#include <cstdint>
#include <vector>

#include "prm_score/text/prompt.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

// The prompt of one chunk: trunk.ids[0, num_shared) + ids.
struct Branch {
  int64_t chunk = 0;         // index into DocumentPrompts::chunks
  int64_t num_shared = 0;    // 0 for an empty context
  std::vector<TokenId> ids;  // never empty: the last of them is the row that answers
};

struct TrunkPlan;

// The prompt of one chunk as it is on its own.
[[nodiscard]] std::vector<TokenId> prompt_of(const TrunkPlan& trunk, const Branch& branch);

// The prompts that share one start of the context.
struct TrunkPlan {
  std::vector<TokenId> ids;      // no longer than the longest shared prefix; empty if nothing is shared
  std::vector<Branch> branches;  // by num_shared, then by chunk
};

struct ScorePlan {
  std::vector<TrunkPlan> trunks;

  // Rows of the forward passes: of all trunks and branches; and with each prompt on its own.
  [[nodiscard]] int64_t num_rows() const;
  [[nodiscard]] int64_t num_rows_alone() const;
};

// The prefixes are compared id by id, so that they are the longest whatever the tokenizer knew of them. Pure.
[[nodiscard]] ScorePlan make_score_plan(DocumentPrompts prompts);

}  // namespace prm_score
