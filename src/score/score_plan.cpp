#include "prm_score/score/score_plan.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <tuple>
#include <utility>

namespace prm_score {
namespace {

// The part of a prompt behind its longest common prefix with the trunk. A prompt that lies in the trunk as a whole
// keeps its last id as branch: that row answers.
Branch make_branch(Prompt prompt, const std::vector<TokenId>& trunk) {
  const auto rest_of_trunk = trunk.begin() + prompt.num_shared;
  const auto [first_own, unused] = std::mismatch(prompt.rest.begin(), prompt.rest.end(), rest_of_trunk, trunk.end());
  int64_t num_more = std::distance(prompt.rest.begin(), first_own);
  if (num_more == std::ssize(prompt.rest) && num_more > 0) --num_more;
  Branch branch{.chunk = prompt.chunk, .num_shared = prompt.num_shared + num_more, .ids = std::move(prompt.rest)};
  branch.ids.erase(branch.ids.begin(), branch.ids.begin() + num_more);
  if (branch.ids.empty()) {
    --branch.num_shared;
    branch.ids.push_back(trunk[branch.num_shared]);
  }
  return branch;
}

int64_t length(const TrunkPlan& trunk) { return std::ssize(trunk.ids); }

}  // namespace

std::vector<TokenId> prompt_of(const TrunkPlan& trunk, const Branch& branch) {
  std::vector<TokenId> input_ids(trunk.ids.begin(), trunk.ids.begin() + branch.num_shared);
  input_ids.insert(input_ids.end(), branch.ids.begin(), branch.ids.end());
  return input_ids;
}

int64_t ScorePlan::num_rows() const {
  int64_t num_rows = 0;
  for (const TrunkPlan& trunk : trunks) {
    num_rows += length(trunk);
    for (const Branch& branch : trunk.branches) num_rows += std::ssize(branch.ids);
  }
  return num_rows;
}

int64_t ScorePlan::num_rows_alone() const {
  int64_t num_rows = 0;
  for (const TrunkPlan& trunk : trunks) {
    for (const Branch& branch : trunk.branches) num_rows += branch.num_shared + std::ssize(branch.ids);
  }
  return num_rows;
}

ScorePlan make_score_plan(DocumentPrompts prompts) {
  ScorePlan plan;
  plan.trunks.resize(prompts.trunks.size());
  for (size_t i = 0; i < plan.trunks.size(); ++i) plan.trunks[i].ids = std::move(prompts.trunks[i].ids);
  for (Prompt& prompt : prompts.prompts) {
    TrunkPlan& trunk = plan.trunks[prompt.trunk];
    assert(prompt.num_shared <= length(trunk));
    trunk.branches.push_back(make_branch(std::move(prompt), trunk.ids));
  }
  for (TrunkPlan& trunk : plan.trunks) {
    std::sort(trunk.branches.begin(), trunk.branches.end(), [](const Branch& a, const Branch& b) {
      return std::tie(a.num_shared, a.chunk) < std::tie(b.num_shared, b.chunk);
    });
    // Rows behind the last shared one serve nobody.
    trunk.ids.resize(trunk.branches.empty() ? 0 : trunk.branches.back().num_shared);
  }
  return plan;
}

}  // namespace prm_score
