#include "prm_score/score/line_dispatcher.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>

namespace prm_score {
namespace {

// Of results that wait for their turn, in about kilobytes per replica. While one replica is busy with a huge document
// the others come this far.
constexpr int64_t kMaxDone = 8192;

std::string message_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown error";
  }
}

}  // namespace

LineDispatcher::LineDispatcher(std::vector<std::string> names, int64_t max_rows, LastChunk last_chunk)
    : max_ready_(2 * max_rows * std::ssize(names)), max_done_(kMaxDone * std::ssize(names)), last_chunk_(last_chunk) {
  for (std::string& name : names) replicas_.emplace_back().name = std::move(name);
}

int LineDispatcher::num_live() const { return static_cast<int>(std::ranges::count_if(replicas_, &Replica::is_live)); }

bool LineDispatcher::is_over() const {
  return is_closed_ && !has_more() && num_suspects_ == 0 && std::ranges::none_of(replicas_, [](const Replica& replica) {
           return replica.is_live && replica.num_lines > 0;
         });
}

// --- The reading thread ---

bool LineDispatcher::push(LineUnderWay line) {
  const int64_t weight = line.weight();
  std::unique_lock lock(mutex_);
  has_room_.wait(lock, [&] { return is_cancelled_ || !has_more() || ready_weight_ + weight <= max_ready_; });
  if (is_cancelled_) return false;
  ready_weight_ += weight;
  Entry& entry = entries_.emplace_back();
  entry.line = std::move(line);
  entry.weight = weight;
  has_orders_.notify_all();
  has_results_.notify_all();  // it may be done already
  return true;
}

void LineDispatcher::close(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  source_error_ = std::move(error);
  has_orders_.notify_all();
  has_results_.notify_all();
}

// --- A replica's thread ---

// Lines that were done when they came are nobody's work.
void LineDispatcher::pass_over_done() {
  for (; has_more() && entry(next_).line.is_done; ++next_) {
    ready_weight_ -= entry(next_).weight;
    done_weight_ += entry(next_).weight;
  }
  has_room_.notify_all();
}

std::optional<int64_t> LineDispatcher::suspect_for(int replica) const {
  if (num_suspects_ == 0) return std::nullopt;
  const bool is_last = num_live() == 1;
  const auto found = std::ranges::find_if(
      entries_, [&](const Entry& entry) { return entry.is_suspect() && (is_last || entry.failed_on != replica); });
  if (found == entries_.end()) return std::nullopt;
  return num_given_ + (found - entries_.begin());
}

// At the end of the input nobody takes more than a fair part of what is left.
bool LineDispatcher::may_take_more(const Replica& replica) const {
  if (done_weight_ >= max_done_) return false;
  return !is_closed_ || replica.weight * num_live() < replica.weight + ready_weight_;
}

LineDispatcher::Order LineDispatcher::assign(int64_t ticket, int replica) {
  Entry& work = entry(ticket);
  work.replica = replica;
  ++replicas_[replica].num_lines;
  replicas_[replica].weight += work.weight;
  // Where another replica may have to do it again, the plan stays.
  ScorePlan plan = replicas_.size() > 1 ? work.line.plan : std::move(work.line.plan);
  return {.ticket = ticket, .plan = std::move(plan), .num_chunks = work.line.result.num_chunks};
}

std::optional<LineDispatcher::Order> LineDispatcher::next(int replica) {
  std::unique_lock lock(mutex_);
  Replica& me = replicas_[replica];
  while (!is_cancelled_) {
    const bool is_idle = me.num_lines == 0;
    if (const auto suspect = suspect_for(replica)) {
      if (!is_idle) return std::nullopt;
      --num_suspects_;
      me.is_alone = true;
      return assign(*suspect, replica);
    }
    if (me.is_alone) return std::nullopt;
    pass_over_done();
    if (has_more() && may_take_more(me)) {
      ready_weight_ -= entry(next_).weight;
      has_room_.notify_all();
      return assign(next_++, replica);
    }
    if (!is_idle || is_over()) return std::nullopt;
    has_orders_.wait(lock);
  }
  return std::nullopt;
}

bool LineDispatcher::has_work(int replica) const {
  const std::lock_guard lock(mutex_);
  return !is_cancelled_ && replicas_[replica].num_lines > 0;
}

void LineDispatcher::take_from(Entry& entry) {
  Replica& replica = replicas_[entry.replica];
  --replica.num_lines;
  replica.weight -= entry.weight;
  replica.is_alone = false;
  entry.replica = kNobody;
}

// A line that is done now takes less memory.
void LineDispatcher::settle(Entry& entry) {
  entry.weight = entry.line.weight();
  done_weight_ += entry.weight;
}

void LineDispatcher::answer(std::vector<JudgedPlan> judged) {
  const std::lock_guard lock(mutex_);
  for (JudgedPlan& plan : judged) {
    Entry& answered = entry(plan.ticket);
    assert(answered.replica != kNobody);
    answered.line.finish(std::move(plan.log_odds), last_chunk_);  // may run out of memory: the replica keeps it then
    take_from(answered);
    settle(answered);
  }
  has_orders_.notify_all();
  has_results_.notify_all();
}

bool LineDispatcher::fail(int replica, const std::exception_ptr& failure) {
  const std::lock_guard lock(mutex_);
  if (replicas_.size() == 1) return false;
  const std::string message = message_of(failure);
  messages_.push_back(replicas_[replica].name + ": " + message);
  for (Entry& failed : entries_) {
    if (failed.replica != replica) continue;
    const bool is_culprit = replicas_[replica].is_alone;
    take_from(failed);
    if (is_culprit) {
      failed.line.fail("model: " + replicas_[failed.failed_on].name + ": " + failed.failure + "; " +
                       replicas_[replica].name + ": " + message);
      settle(failed);
    } else {
      failed.failed_on = replica;
      failed.failure = message;
      ++num_suspects_;
    }
  }
  has_orders_.notify_all();
  has_results_.notify_all();
  return true;
}

void LineDispatcher::leave(int replica, const std::exception_ptr& failure) {
  const std::lock_guard lock(mutex_);
  replicas_[replica].is_live = false;
  if (failure != nullptr && (num_live() == 0 || replicas_[replica].num_lines > 0)) {
    failure_ = failure;
  } else if (failure != nullptr) {
    messages_.push_back(replicas_[replica].name + ": takes no more documents: " + message_of(failure));
  }
  has_orders_.notify_all();
  has_results_.notify_all();
}

// --- The run's thread ---

void LineDispatcher::give(const std::function<bool(const LineUnderWay&)>& take,
                          const std::function<void(const std::string&)>& warn) {
  const auto is_front_done = [this] { return !entries_.empty() && entries_.front().line.is_done; };
  const auto is_at_end = [this] {
    return is_cancelled_ || failure_ || num_live() == 0 || (is_closed_ && entries_.empty());
  };
  std::unique_lock lock(mutex_);
  for (;;) {
    has_results_.wait(lock, [&] { return !messages_.empty() || is_front_done() || is_at_end(); });
    if (!messages_.empty()) {
      const std::vector<std::string> messages = std::exchange(messages_, {});
      lock.unlock();
      for (const std::string& message : messages) warn(message);
      lock.lock();
    } else if (is_front_done()) {
      pass_over_done();
      const Entry given = std::move(entries_.front());
      entries_.pop_front();
      ++num_given_;
      done_weight_ -= given.weight;
      has_orders_.notify_all();
      lock.unlock();
      if (!take(given.line)) return;
      lock.lock();
    } else {
      if (failure_) std::rethrow_exception(failure_);
      if (source_error_ && entries_.empty()) std::rethrow_exception(source_error_);
      return;
    }
  }
}

void LineDispatcher::cancel() {
  const std::lock_guard lock(mutex_);
  is_cancelled_ = true;
  has_room_.notify_all();
  has_orders_.notify_all();
  has_results_.notify_all();
}

}  // namespace prm_score
