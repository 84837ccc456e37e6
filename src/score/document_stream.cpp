#include "prm_score/score/document_stream.h"

#include <deque>
#include <exception>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "prm_score/error.h"
#include "prm_score/score/line_dispatcher.h"
#include "prm_score/score/line_under_way.h"

namespace prm_score {
namespace {

template <typename Work>
std::thread start_thread(const char* what_for, Work work) {
  try {
    return std::thread(std::move(work));
  } catch (const std::system_error& error) {
    throw Error(std::string("a thread for ") + what_for + " cannot be started: " + error.what());
  }
}

bool is_set(const std::atomic<bool>* flag) { return flag != nullptr && *flag; }

std::vector<std::string> names_of(const std::vector<Replica>& replicas) {
  std::vector<std::string> names;
  names.reserve(replicas.size());
  for (const Replica& replica : replicas) names.push_back(replica.name);
  return names;
}

// What several threads take, each for itself; added up at the end of its life.
class ThreadTimes {
 public:
  ThreadTimes(size_t num_threads, StageTimes& sum) : sum_(sum), times_(num_threads) {}
  ~ThreadTimes() {
    for (const StageTimes& times : times_) {
      sum_.read += times.read;
      sum_.tokenize += times.tokenize;
      sum_.model += times.model;
      sum_.num_forward_rows += times.num_forward_rows;
    }
  }
  ThreadTimes(const ThreadTimes&) = delete;
  ThreadTimes& operator=(const ThreadTimes&) = delete;

  [[nodiscard]] StageTimes& operator[](size_t thread) { return times_[thread]; }

 private:
  StageTimes& sum_;
  std::vector<StageTimes> times_;
};

// Lines read and tokenised ahead on a thread of their own.
class ReadAhead {
 public:
  ReadAhead(const PromptBuilder& builder, const StreamOptions& options, LineSource& source, LineDispatcher& dispatcher,
            StageTimes& times)
      : source_(source), dispatcher_(dispatcher), times_(times) {
    thread_ = start_thread("reading", [this, &builder, &options] {
      try {
        read(builder, options);
        dispatcher_.close();
      } catch (...) {
        dispatcher_.close(std::current_exception());
      }
    });
  }
  ~ReadAhead() {
    dispatcher_.cancel();
    source_.interrupt();
    thread_.join();
  }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

 private:
  void read(const PromptBuilder& builder, const StreamOptions& options) {
    const PromptBuilder::Extras extras = {
        .spans = options.spans, .ids_sha256 = options.ids_sha256, .stop = options.stop};
    while (auto line = next()) {
      LineUnderWay prepared = prepare_line(builder, extras, *std::move(line));
      if (is_set(options.stop)) return;  // what was given up while it was tokenised is no answer
      if (!dispatcher_.push(std::move(prepared))) return;
    }
  }

  [[nodiscard]] std::optional<InputLine> next() {
    const ScopedSeconds timed(times_.read);
    return source_.next();
  }

  [[nodiscard]] LineUnderWay prepare_line(const PromptBuilder& builder, const PromptBuilder::Extras& extras,
                                          InputLine line) {
    const ScopedSeconds timed(times_.tokenize);
    return prepare(builder, extras, std::move(line));
  }

  LineSource& source_;
  LineDispatcher& dispatcher_;
  StageTimes& times_;
  std::thread thread_;
};

// Replica `index` at work, on a thread of its own.
class Worker {
 public:
  Worker(const Replica& replica, int index, const StreamOptions& options, LineDispatcher& dispatcher, StageTimes& times)
      : replica_(replica), index_(index), options_(options), dispatcher_(dispatcher), times_(times) {
    thread_ = start_thread("computing", [this] {
      std::exception_ptr failure;
      try {
        failure = work();
      } catch (...) {
        failure = std::current_exception();
      }
      dispatcher_.leave(index_, failure);
    });
  }
  ~Worker() {
    dispatcher_.cancel();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  // Until there is no more to do; what the replica ended with, if it failed.
  [[nodiscard]] std::exception_ptr work() {
    Engine& engine = *replica_.engine;
    replica_.begin();
    engine.clear();
    for (;;) {
      // What is there, up to a full step; wait only if nothing is under way.
      while (!is_set(options_.stop) && engine.num_rows_waiting() < options_.max_rows) {
        auto order = dispatcher_.next(index_);
        if (!order) break;
        engine.add(order->ticket, std::move(order->plan), order->num_chunks);
      }
      if (is_set(options_.stop) || !dispatcher_.has_work(index_)) return nullptr;
      try {
        dispatcher_.answer(run_step());
      } catch (...) {
        const std::exception_ptr failure = std::current_exception();
        engine.clear();
        if (!dispatcher_.fail(index_, failure)) return failure;
        replica_.check();
      }
    }
  }

  [[nodiscard]] std::vector<JudgedPlan> run_step() {
    const ScopedSeconds timed(times_.model);
    const int64_t num_rows_before = replica_.engine->num_rows_waiting();
    std::vector<JudgedPlan> judged = replica_.engine->run_step();
    times_.num_forward_rows += num_rows_before - replica_.engine->num_rows_waiting();
    return judged;
  }

  const Replica& replica_;
  const int index_;
  const StreamOptions& options_;
  LineDispatcher& dispatcher_;
  StageTimes& times_;
  std::thread thread_;
};

}  // namespace

void score_stream(const PromptBuilder& builder, const std::vector<Replica>& replicas, const StreamOptions& options,
                  LineSource& source, const TakeReward& take) {
  StageTimes nobodys;
  StageTimes& times = options.times != nullptr ? *options.times : nobodys;
  const ScopedSeconds timed(times.scoring);
  ThreadTimes thread_times(replicas.size() + 1, times);
  LineDispatcher dispatcher(names_of(replicas), options.max_rows, options.last_chunk);
  // Last made, first ended: it tells the others.
  std::deque<Worker> workers;
  for (size_t i = 0; i < replicas.size(); ++i) {
    workers.emplace_back(replicas[i], static_cast<int>(i), options, dispatcher, thread_times[i]);
  }
  const ReadAhead ahead(builder, options, source, dispatcher, thread_times[replicas.size()]);
  dispatcher.give(
      [&](const LineUnderWay& line) {
        const ScopedSeconds timed_row(times.write);
        return take(line.origin, line.result);
      },
      options.warn ? options.warn : [](const std::string&) {});
}

}  // namespace prm_score
