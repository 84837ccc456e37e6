// line_dispatcher.h - hands lines out to replicas as these have time, and gives the results back in their order.
//
//   reading thread --push--> [ lines, in the order of the input ] --give--> the run's own thread
//                              next | ^ answer, fail
//                                   v |
//                            replicas' threads
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "prm_score/score/engine.h"
#include "prm_score/score/line_under_way.h"

namespace prm_score {

// A replica whose engine fails loses its documents to the others, which then take each of them alone: so the one at
// fault is found, and becomes a bad row if it fails a second time. A replica that cannot go on takes no more; without
// any the run ends with the failure. A single replica's failure ends the run at once.
//
// Thread-safe. Every wait ends once the lines are done, or with cancel().
class LineDispatcher {
 public:
  // What a replica is to do.
  struct Order {
    int64_t ticket = 0;
    ScorePlan plan;
    int64_t num_chunks = 0;
  };

  // `names`: of the replicas, for messages. `max_rows`: of a step; twice as many per replica are kept ready.
  LineDispatcher(std::vector<std::string> names, int64_t max_rows, LastChunk last_chunk);

  // --- The reading thread ---

  // Waits for room. False once cancelled.
  [[nodiscard]] bool push(LineUnderWay line);

  // No more lines will come: because of `error`, if there is one, which give() throws after the last of them.
  void close(std::exception_ptr error = nullptr);

  // --- A replica's thread ---

  // What `replica` is to do besides what it has; waits for it if that is nothing. Nullopt: no more for now, or, if it
  // has nothing, ever.
  [[nodiscard]] std::optional<Order> next(int replica);

  // False also once cancelled.
  [[nodiscard]] bool has_work(int replica) const;

  void answer(std::vector<JudgedPlan> judged);

  // `replica` has failed at what it had, and forgotten it. False: the run ends with `failure`.
  [[nodiscard]] bool fail(int replica, const std::exception_ptr& failure);

  // It takes no more orders: it has come to the end, was told to stop, or ended with `failure`. What it still has is
  // given up then, and with it the run.
  void leave(int replica, const std::exception_ptr& failure = nullptr);

  // --- The run's thread ---

  // Gives to `take` what is done and has its turn, waiting for it, until there will be no more, all replicas have
  // left, or `take` says false. `warn` is told of replicas that failed. Throws what ended the run.
  void give(const std::function<bool(const LineUnderWay&)>& take, const std::function<void(const std::string&)>& warn);

  // Ends every wait.
  void cancel();

 private:
  // A line, and who has it.
  struct Entry {
    LineUnderWay line;
    int64_t weight = 0;
    int replica = kNobody;    // that has it under way
    int failed_on = kNobody;  // the replica that failed with it
    std::string failure;      // what that one said

    [[nodiscard]] bool is_suspect() const { return failed_on != kNobody && replica == kNobody && !line.is_done; }
  };
  struct Replica {
    std::string name;
    int64_t num_lines = 0, weight = 0;  // under way
    bool is_alone = false;              // with a suspect
    bool is_live = true;
  };
  static constexpr int kNobody = -1;

  [[nodiscard]] Entry& entry(int64_t ticket) { return entries_[ticket - num_given_]; }
  [[nodiscard]] int num_live() const;
  [[nodiscard]] bool has_more() const { return next_ < num_given_ + static_cast<int64_t>(entries_.size()); }
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] std::optional<int64_t> suspect_for(int replica) const;
  [[nodiscard]] Order assign(int64_t ticket, int replica);
  [[nodiscard]] bool may_take_more(const Replica& replica) const;
  void pass_over_done();
  void take_from(Entry& entry);
  void settle(Entry& entry);

  const int64_t max_ready_, max_done_;
  const LastChunk last_chunk_;
  mutable std::mutex mutex_;
  std::condition_variable has_room_, has_orders_, has_results_;
  std::deque<Entry> entries_;  // ticket = num_given_ + index
  int64_t num_given_ = 0;
  int64_t next_ = 0;  // ticket of the first line that was not handed out, nor done when it came
  int64_t ready_weight_ = 0, done_weight_ = 0;  // of the lines from next_ on; of those before that wait for their turn
  int64_t num_suspects_ = 0;                    // that nobody has
  std::vector<Replica> replicas_;
  std::vector<std::string> messages_;
  bool is_closed_ = false, is_cancelled_ = false;
  std::exception_ptr source_error_, failure_;
};

}  // namespace prm_score
