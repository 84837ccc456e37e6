// engine.h - from the plans of documents to their log-odds, step by step.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "prm_score/model/step.h"
#include "prm_score/model/transformer.h"
#include "prm_score/score/score_plan.h"

namespace prm_score {

// A document whose chunks are all judged. `log_odds[i]` belongs to chunk i of the document; nullopt where its plan has
// no prompt.
struct JudgedPlan {
  int64_t ticket = 0;
  std::vector<std::optional<float>> log_odds;
};

// Documents go in, first come, first served; what a document gets does not depend on the others. Not thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;

  // `num_chunks`: of the document; the plan's chunks are below it. Tickets are the caller's, to tell documents apart.
  virtual void add(int64_t ticket, ScorePlan plan, int64_t num_chunks) = 0;

  // Rows of the documents that were added and are not computed yet.
  [[nodiscard]] virtual int64_t num_rows_waiting() const = 0;

  // Does a bounded amount of work; the documents that it completed, in the order in which they were added. Without work
  // nothing happens, and a document without prompts is completed by the next call. Throws Error if memory runs out,
  // and has then forgotten all documents, as clear() does.
  [[nodiscard]] virtual std::vector<JudgedPlan> run_step() = 0;

  // Gives up every document that is not completed.
  virtual void clear() = 0;
};

// One pass per document: trunks and branches of many documents, packed into steps of at most `max_batch_tokens` rows
// (or of one segment, if that is longer: a branch is never cut).
class SharedPrefixEngine final : public Engine {
 public:
  SharedPrefixEngine(std::unique_ptr<StepModel> model, int64_t max_batch_tokens);

  void add(int64_t ticket, ScorePlan plan, int64_t num_chunks) override;
  [[nodiscard]] int64_t num_rows_waiting() const override { return num_rows_waiting_; }
  [[nodiscard]] std::vector<JudgedPlan> run_step() override;
  void clear() override;

 private:
  // A document under way. Its segments are made in order: trunk by trunk, each branch as soon as the rows that it
  // shares are there.
  struct Work {
    JudgedPlan result;
    ScorePlan plan;
    size_t trunk = 0;      // index of the trunk at work
    int64_t num_rows = 0;  // of that trunk, done
    size_t branch = 0;     // index of its next branch
    std::shared_ptr<TrunkCache> cache;

    [[nodiscard]] bool is_planned_out() const { return trunk == plan.trunks.size(); }
  };
  // Where an answer of the step goes.
  struct Answer {
    Work* work;
    int64_t chunk;
  };

  [[nodiscard]] std::vector<float> run_or_clear(const Step& step);
  [[nodiscard]] bool make_cache(Work& work, const Step& step) const;
  void fill(Work& work, Step& step, std::vector<Answer>& answers);
  [[nodiscard]] bool append(const std::vector<TokenId>& ids, int64_t begin, int64_t end, Segment segment,
                            Step& step) const;

  std::unique_ptr<StepModel> model_;
  int64_t max_batch_tokens_;
  int64_t num_rows_waiting_ = 0;
  std::deque<Work> work_;
};

// The oracle: each prompt on its own, one of them a step.
class OracleEngine final : public Engine {
 public:
  explicit OracleEngine(std::shared_ptr<const LoadedModel> model) : judge_(std::move(model)) {}

  void add(int64_t ticket, ScorePlan plan, int64_t num_chunks) override;
  [[nodiscard]] int64_t num_rows_waiting() const override { return num_rows_waiting_; }
  [[nodiscard]] std::vector<JudgedPlan> run_step() override;
  void clear() override;

 private:
  struct Work {
    JudgedPlan result;
    ScorePlan plan;
    size_t trunk = 0, branch = 0;  // the next prompt

    [[nodiscard]] bool is_done() const { return trunk == plan.trunks.size(); }
  };

  void run_next_prompt(Work& work);

  Transformer judge_;
  int64_t num_rows_waiting_ = 0;
  std::deque<Work> work_;
};

}  // namespace prm_score
