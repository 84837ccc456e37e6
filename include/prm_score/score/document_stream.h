// document_stream.h - the loop of a run: lines in, results out in their order, an engine in between. Without torch.
//
//   source -> prepare (tokenise, plan) -> dispatcher -> engines, step by step -> dispatcher -> take
//   '------ on a thread of its own -----'               '- a thread of each -'                 '- the caller's thread
//   -'
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

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

// An engine that works beside others.
struct Replica {
  Engine* engine = nullptr;
  std::string name;             // "cuda:1", for messages
  std::function<void()> begin;  // called first on the thread that computes
  // Throws Error if the engine cannot be trusted. Called after a failure, if there are several replicas.
  std::function<void()> check;
};

struct StreamOptions {
  int64_t max_rows = 0;  // of a step of one replica; what is read ahead is bounded by a few times as much
  LastChunk last_chunk = LastChunk::kScore;
  bool spans = false;
  bool ids_sha256 = false;
  const std::atomic<bool>* stop = nullptr;       // ends the run between two steps once set; nullptr: nothing does
  StageTimes* times = nullptr;                   // what the stages take is added, also if it ends with an error
  std::function<void(const std::string&)> warn;  // told of replicas that fail, on the thread of score_stream()
};

// Scores what comes, many documents a step, on all replicas at once, and gives the results to `take` (on this thread)
// in the order of the lines, as soon as they are there: when the source pauses, nothing is kept back. Lines are read
// and tokenised on another thread meanwhile, a bounded number ahead. Ends when the source does, when `take` has enough,
// or when it is told to stop (by a signal handler, say); lines under way are then given up. What becomes of a replica's
// failure: line_dispatcher.h. Throws what the source and `take` throw, what the last replica failed with, and Error if
// there is no thread to be had. `builder` is used by the other thread.
void score_stream(const PromptBuilder& builder, const std::vector<Replica>& replicas, const StreamOptions& options,
                  LineSource& source, const TakeReward& take);

}  // namespace prm_score
