#include "prm_score/score/document_stream.h"

#include <cmath>
#include <deque>
#include <exception>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "prm_score/error.h"
#include "prm_score/score/bounded_queue.h"
#include "prm_score/score/reward.h"
#include "prm_score/score/score_plan.h"

namespace prm_score {
namespace {

// nan, inf or -inf. What sign a nan has is chance.
std::string name_of_non_finite(float number) { return std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf"; }

DocumentReward bad_document(std::string error) {
  DocumentReward result;
  result.error = std::move(error);
  return result;
}

// A line on its way from the source to its row.
struct LineUnderWay {
  RowOrigin origin;
  DocumentReward result;  // all but what the judge says; a set `error` is final
  std::vector<Chunk> chunks;
  ScorePlan plan;
  bool is_done = false;

  // In rows of a step. A line without rows takes memory, too: about 1 KB a row counts.
  [[nodiscard]] int64_t weight() const {
    const size_t num_bytes = origin.id_json.size() + origin.input_json.size() + result.error.size() +
                             result.spans.size() * sizeof(ChunkSpan);
    return plan.num_rows() + 1 + static_cast<int64_t>(num_bytes / 1024);
  }
};

// Fills in what the judge said of every chunk.
void finish(LineUnderWay& line, std::vector<std::optional<float>> log_odds, LastChunk last_chunk) {
  line.is_done = true;
  for (size_t chunk = 0; chunk < log_odds.size(); ++chunk) {
    if (log_odds[chunk] && !std::isfinite(*log_odds[chunk])) {
      line.result = bad_document("log_odds: chunk " + std::to_string(chunk) + ": expected finite logits, got " +
                                 name_of_non_finite(*log_odds[chunk]));
      return;
    }
  }
  line.result.reward = mean_log_odds(log_odds, line.chunks, last_chunk);
  line.result.log_odds = std::move(log_odds);
}

LineUnderWay prepare(const PromptBuilder& builder, const PromptBuilder::Extras& extras, InputLine line) {
  LineUnderWay prepared;
  if (auto* bad = std::get_if<LineError>(&line)) {
    prepared.origin = std::move(bad->origin);
    prepared.result = bad_document(std::move(bad->reason));
    prepared.is_done = true;
    return prepared;
  }
  auto& document = std::get<Document>(line);
  prepared.origin = std::move(document.origin);
  DocumentPrompts prompts = builder.build(document, extras);
  if (!prompts.error.empty()) {
    prepared.result = bad_document(std::move(prompts.error));
    prepared.is_done = true;
    return prepared;
  }
  prepared.result.num_tokens = prompts.num_tokens;
  prepared.result.num_chunks = std::ssize(prompts.chunks);
  prepared.result.spans = std::move(prompts.spans);
  prepared.result.warnings = prompts.warnings;
  prepared.result.ids_sha256 = std::move(prompts.ids_sha256);
  prepared.chunks = std::move(prompts.chunks);
  prepared.plan = make_score_plan(std::move(prompts));
  return prepared;
}

template <typename Work>
std::thread start_thread(Work work) {
  try {
    return std::thread(std::move(work));
  } catch (const std::system_error& error) {
    throw Error(std::string("a thread for reading cannot be started: ") + error.what());
  }
}

// Lines read and tokenised ahead on a thread of their own.
class ReadAhead {
 public:
  // `prepare`: from a line of the source to a LineUnderWay. At most `max_rows` rows are kept ready.
  template <typename Prepare>
  ReadAhead(LineSource& source, Prepare prepare, int64_t max_rows, StageTimes& times)
      : source_(source), queue_(max_rows) {
    thread_ = start_thread([this, prepare, &times] {
      try {
        while (auto line = next(times.read)) {
          LineUnderWay prepared = prepare(*std::move(line));
          const int64_t weight = prepared.weight();
          if (!queue_.push(std::move(prepared), weight)) return;
        }
        queue_.close();
      } catch (...) {
        queue_.close(std::current_exception());
      }
    });
  }
  ~ReadAhead() {
    queue_.cancel();
    source_.interrupt();
    thread_.join();
  }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  [[nodiscard]] BoundedQueue<LineUnderWay>& queue() { return queue_; }

 private:
  [[nodiscard]] std::optional<InputLine> next(double& seconds) {
    const ScopedSeconds timed(seconds);
    return source_.next();
  }

  LineSource& source_;
  BoundedQueue<LineUnderWay> queue_;
  std::thread thread_;
};

// The lines between queue and `take`, in the order of the input.
class Window {
 public:
  explicit Window(LastChunk last_chunk) : last_chunk_(last_chunk) {}

  [[nodiscard]] bool is_empty() const { return lines_.empty(); }

  // Of those that wait for their turn, rows that are done counted on.
  [[nodiscard]] int64_t weight() const { return weight_; }

  void add(LineUnderWay line, Engine& engine) {
    const int64_t ticket = num_taken_ + std::ssize(lines_);
    weights_.push_back(line.weight());
    weight_ += weights_.back();
    if (!line.is_done) engine.add(ticket, std::move(line.plan), line.result.num_chunks);
    lines_.push_back(std::move(line));
  }

  // A step, if the line whose turn it is needs one.
  void run_step(Engine& engine, StageTimes& times) {
    if (lines_.front().is_done) return;
    const ScopedSeconds timed(times.model);
    const int64_t num_rows_before = engine.num_rows_waiting();
    for (JudgedPlan& judged : engine.run_step()) {
      finish(lines_[judged.ticket - num_taken_], std::move(judged.log_odds), last_chunk_);
    }
    times.num_forward_rows += num_rows_before - engine.num_rows_waiting();
  }

  // What is done and has its turn; false once `take` has enough.
  [[nodiscard]] bool give(const TakeReward& take, double& seconds) {
    const ScopedSeconds timed(seconds);
    while (!lines_.empty() && lines_.front().is_done) {
      if (!take(lines_.front().origin, lines_.front().result)) return false;
      lines_.pop_front();
      weight_ -= weights_.front();
      weights_.pop_front();
      ++num_taken_;
    }
    return true;
  }

 private:
  LastChunk last_chunk_;
  std::deque<LineUnderWay> lines_;
  std::deque<int64_t> weights_;  // of each
  int64_t weight_ = 0;
  int64_t num_taken_ = 0;  // lines that have left: a line's ticket is num_taken_ + its place
};

}  // namespace

void score_stream(const PromptBuilder& builder, Engine& engine, const StreamOptions& options, LineSource& source,
                  const TakeReward& take) {
  const int64_t max_rows = options.max_rows;
  StageTimes nobodys;
  StageTimes& times = options.times != nullptr ? *options.times : nobodys;
  const ScopedSeconds timed(times.scoring);
  engine.clear();
  Window window(options.last_chunk);
  const PromptBuilder::Extras extras = {.spans = options.spans, .ids_sha256 = options.ids_sha256, .stop = options.stop};
  const auto prepare_line = [&](InputLine line) {
    const ScopedSeconds timed_line(times.tokenize);
    return prepare(builder, extras, std::move(line));
  };
  ReadAhead ahead(source, prepare_line, 2 * max_rows, times);
  const auto is_stopped = [&] { return options.stop != nullptr && *options.stop; };
  while (!is_stopped()) {
    // What is there, up to a full step; wait only if nothing is under way.
    while (engine.num_rows_waiting() < max_rows && (window.is_empty() || window.weight() < 4 * max_rows)) {
      auto line = window.is_empty() ? ahead.queue().pop() : ahead.queue().try_pop();
      if (!line) break;
      window.add(*std::move(line), engine);
    }
    if (window.is_empty() || is_stopped()) return;  // what was given up while it was tokenised is no answer
    window.run_step(engine, times);
    if (!window.give(take, times.write)) return;
  }
}

}  // namespace prm_score
