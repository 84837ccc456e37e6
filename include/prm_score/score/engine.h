// engine.h - from the plans of documents to their log-odds, step by step.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "prm_score/score/score_plan.h"

namespace prm_score {

// A document whose chunks are all judged. `log_odds[i]` belongs to chunk i of the document; nullopt where its plan has
// no prompt.
struct JudgedPlan {
  int64_t ticket = 0;
  std::vector<std::optional<float>> log_odds;

  [[nodiscard]] static JudgedPlan unanswered(int64_t ticket, int64_t num_chunks) {
    return {.ticket = ticket, .log_odds = std::vector<std::optional<float>>(num_chunks)};
  }
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

}  // namespace prm_score
