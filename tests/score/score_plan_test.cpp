#include "prm_score/score/score_plan.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace prm_score {
namespace {

// A document whose prompts are given; its one trunk is `trunk`.
DocumentPrompts prompts_of(std::vector<TokenId> trunk, std::vector<Prompt> prompts) {
  DocumentPrompts document;
  document.trunks.push_back({.ids = std::move(trunk), .text = {}});
  document.prompts = std::move(prompts);
  return document;
}

Prompt prompt(int64_t chunk, int64_t num_shared, std::vector<TokenId> rest) {
  Prompt result;
  result.chunk = chunk;
  result.num_shared = num_shared;
  result.rest = std::move(rest);
  return result;
}

TEST(MakeScorePlanTest, BranchIsWhatFollowsTheLongestCommonPrefix) {
  // Known in common: 1. In truth 3 ids are.
  const ScorePlan plan = make_score_plan(prompts_of({1, 2, 3, 4, 5}, {prompt(0, 1, {2, 3, 9, 5})}));
  ASSERT_EQ(plan.trunks.size(), 1);
  EXPECT_EQ(plan.trunks[0].ids, (std::vector<TokenId>{1, 2, 3}));
  ASSERT_EQ(plan.trunks[0].branches.size(), 1);
  EXPECT_EQ(plan.trunks[0].branches[0].num_shared, 3);
  EXPECT_EQ(plan.trunks[0].branches[0].ids, (std::vector<TokenId>{9, 5}));
  EXPECT_EQ(plan.num_rows(), 5);
  EXPECT_EQ(plan.num_rows_alone(), 5);
}

TEST(MakeScorePlanTest, APromptInsideItsTrunkKeepsItsLastIdToAnswer) {
  for (const auto& inside : {prompt(0, 1, {2, 3}), prompt(0, 3, {})}) {
    const ScorePlan plan = make_score_plan(prompts_of({1, 2, 3, 4}, {inside}));
    EXPECT_EQ(plan.trunks[0].ids, (std::vector<TokenId>{1, 2}));
    EXPECT_EQ(plan.trunks[0].branches[0].ids, (std::vector<TokenId>{3}));
  }
}

TEST(MakeScorePlanTest, BranchesAreSortedByWhatTheyShare) {
  const ScorePlan plan =
      make_score_plan(prompts_of({1, 2, 3}, {prompt(0, 3, {7}), prompt(1, 0, {8}), prompt(2, 0, {1, 9})}));
  std::vector<int64_t> chunks;
  for (const Branch& branch : plan.trunks[0].branches) chunks.push_back(branch.chunk);
  EXPECT_EQ(chunks, (std::vector<int64_t>{1, 2, 0}));
  EXPECT_EQ(plan.num_rows(), 3 + 3);
  EXPECT_EQ(plan.num_rows_alone(), 4 + 1 + 2);
}

TEST(MakeScorePlanTest, RowsThatServeNobodyAreLeftOut) {
  EXPECT_TRUE(make_score_plan(prompts_of({1, 2, 3}, {prompt(0, 0, {5})})).trunks[0].ids.empty());
  EXPECT_EQ(make_score_plan(prompts_of({1, 2, 3}, {})).num_rows(), 0);
  EXPECT_TRUE(make_score_plan({}).trunks.empty());
}

TEST(MakeScorePlanTest, EveryPromptCanBePutTogetherAgain) {
  std::mt19937 random(5);
  const auto below = [&](int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random); };
  for (int round = 0; round < 2000; ++round) {
    DocumentPrompts document;
    const int64_t num_trunks = 1 + below(3);
    for (int64_t i = 0; i < num_trunks; ++i) {
      auto& ids = document.trunks.emplace_back().ids;
      for (int64_t left = below(12); left > 0; --left) ids.push_back(static_cast<TokenId>(below(3)));
    }
    const int64_t num_prompts = below(6);
    for (int64_t chunk = 0; chunk < num_prompts; ++chunk) {
      Prompt& p = document.prompts.emplace_back();
      p.chunk = chunk;
      p.trunk = below(num_trunks);
      p.num_shared = below(std::ssize(document.trunks[p.trunk].ids) + 1);
      for (int64_t left = below(9) + (p.num_shared == 0); left > 0; --left) {
        p.rest.push_back(static_cast<TokenId>(below(3)));
      }
    }
    std::vector<std::vector<TokenId>> expected(num_prompts), got(num_prompts);
    for (const Prompt& p : document.prompts) expected[p.chunk] = document.input_ids(p);
    const DocumentPrompts before = document;
    const ScorePlan plan = make_score_plan(std::move(document));
    int64_t num_rows_alone = 0;
    for (size_t t = 0; t < plan.trunks.size(); ++t) {
      const TrunkPlan& trunk = plan.trunks[t];
      for (const Branch& branch : trunk.branches) {
        ASSERT_FALSE(branch.ids.empty());
        ASSERT_LE(branch.num_shared, std::ssize(trunk.ids));
        auto& ids = got[branch.chunk];
        ids.assign(trunk.ids.begin(), trunk.ids.begin() + branch.num_shared);
        ids.insert(ids.end(), branch.ids.begin(), branch.ids.end());
        num_rows_alone += std::ssize(ids);
        // No longer prefix was to be had.
        const auto& whole = before.trunks[t].ids;
        const auto [a, b] = std::mismatch(ids.begin(), ids.end() - 1, whole.begin(), whole.end());
        EXPECT_EQ(branch.num_shared, a - ids.begin());
      }
    }
    EXPECT_EQ(got, expected);
    EXPECT_EQ(plan.num_rows_alone(), num_rows_alone);
  }
}

// Real tokenizers, hostile documents, every option that moves a prompt.
TEST(MakeScorePlanTest, HostileDocumentsCanBePutTogetherAgain) {
  const std::filesystem::path data = PRM_SCORE_DATA_DIR;
  std::vector<PromptOptions> variants(7);
  variants[1].chunking = {.chunk_size = 64, .stride = 24};
  variants[2].chunking = {.chunk_size = 5, .stride = 5};
  variants[3].join = Join::kTokens;
  variants[4].max_context = 64;
  variants[5].max_context = 0;
  variants[6].first_chunk = FirstChunk::kSkip;
  variants[6].last_chunk = LastChunk::kDrop;
  int64_t num_prompts = 0;
  for (const char* folder : {"tiny-judge", "golden/checkpoints/llama3", "golden/checkpoints/mistral-sliding",
                             "golden/checkpoints/mistral-nemo"}) {
    const auto tokenizer = load_tokenizer(data / folder, {});
    for (const PromptOptions& options : variants) {
      const PromptBuilder builder(*tokenizer, options, 4096);
      std::ifstream lines(data / "golden" / "prompts" / "documents.jsonl");
      for (std::string line; std::getline(lines, line);) {
        const auto json = nlohmann::json::parse(line);
        Document document;
        document.text = json.at("text");
        document.context = json.value("context", "");
        const DocumentPrompts prompts = builder.build(document, {});
        if (!prompts.error.empty()) continue;
        const ScorePlan plan = make_score_plan(prompts);
        std::map<int64_t, std::vector<TokenId>> got;
        for (const TrunkPlan& trunk : plan.trunks) {
          for (const Branch& branch : trunk.branches) {
            auto& ids = got[branch.chunk];
            ids.assign(trunk.ids.begin(), trunk.ids.begin() + branch.num_shared);
            ids.insert(ids.end(), branch.ids.begin(), branch.ids.end());
          }
        }
        ASSERT_EQ(got.size(), prompts.prompts.size());
        for (const Prompt& p : prompts.prompts) ASSERT_EQ(got[p.chunk], prompts.input_ids(p)) << line;
        ASSERT_LE(plan.num_rows(), plan.num_rows_alone());
        num_prompts += std::ssize(prompts.prompts);
      }
    }
  }
  EXPECT_GT(num_prompts, 5000);
}

}  // namespace
}  // namespace prm_score
