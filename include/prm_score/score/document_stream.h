// document_stream.h - the loop of a run: lines in, results out in their order, an engine in between. Without torch.
//
//   source -> prepare (tokenise, plan) -> queue of bounded size -> engine, step by step -> take
//   '------ on a thread of its own ----------'                     '--- on the caller's ---'
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "prm_score/score/engine.h"
#include "prm_score/text/document.h"
#include "prm_score/text/prompt.h"
#include "prm_score/text/stage_times.h"

namespace prm_score {

// Where the documents of a run come from.
class LineSource {
 public:
  virtual ~LineSource() = default;

  // The next line, after waiting for it if need be; nullopt at the end. Called on a thread of its own. What it throws
  // ends the run, when the rows of the lines before it are taken.
  [[nodiscard]] virtual std::optional<InputLine> next() = 0;

  // Makes a next() that waits return soon. Called at the end of every run, from another thread than next().
  virtual void interrupt() = 0;
};

// Takes the result of a line; a line that cannot be scored has a reward with `error`. False: that is enough.
using TakeReward = std::function<bool(const RowOrigin& origin, const DocumentReward& reward)>;

struct StreamOptions {
  int64_t max_rows = 0;  // of a step; what is read ahead and what waits for its turn is bounded by a few times as much
  LastChunk last_chunk = LastChunk::kScore;
  bool spans = false;
  bool ids_sha256 = false;
  const std::atomic<bool>* stop = nullptr;  // ends the run between two steps once set; nullptr: nothing does
  StageTimes* times = nullptr;              // what the stages take is added, also if it ends with an error
};

// Scores what comes, many documents a step, and gives the results to `take` (on this thread) in the order of the
// lines, as soon as they are there: when the source pauses, nothing is kept back. Lines are read and tokenised on
// another thread meanwhile, a bounded number ahead. Ends when the source does, when `take` has enough, or when it is
// told to stop (by a signal handler, say); lines under way are then given up. Throws what the source,
// the engine and `take` throw, and Error if there is no thread to be had. `builder` is used by the other thread.
void score_stream(const PromptBuilder& builder, Engine& engine, const StreamOptions& options, LineSource& source,
                  const TakeReward& take);

}  // namespace prm_score
