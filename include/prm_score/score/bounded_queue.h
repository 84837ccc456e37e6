// bounded_queue.h - hands items from one thread to another, as many as fit under a limit of weight.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

namespace prm_score {

// One producer, one consumer. Every wait ends: the producer's with cancel(), the consumer's with close().
template <typename T>
class BoundedQueue {
 public:
  // An item that is heavier than `max_weight` is let in when the queue is empty.
  explicit BoundedQueue(int64_t max_weight) : max_weight_(max_weight) {}

  // Waits for room. False once cancelled; the item is lost then.
  [[nodiscard]] bool push(T item, int64_t weight) {
    std::unique_lock lock(mutex_);
    has_room_.wait(lock, [&] { return is_cancelled_ || items_.empty() || weight_ + weight <= max_weight_; });
    if (is_cancelled_) return false;
    weight_ += weight;
    items_.emplace_back(std::move(item), weight);
    has_items_.notify_one();
    return true;
  }

  // No more items will come: because of `error`, if there is one, which pop() throws after the last item.
  void close(std::exception_ptr error = nullptr) {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    error_ = std::move(error);
    has_items_.notify_one();
  }

  void cancel() {
    const std::lock_guard lock(mutex_);
    is_cancelled_ = true;
    has_room_.notify_one();
  }

  // Waits for an item; nullopt at the end.
  [[nodiscard]] std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    has_items_.wait(lock, [&] { return is_closed_ || !items_.empty(); });
    if (items_.empty() && error_) std::rethrow_exception(std::exchange(error_, nullptr));
    return take();
  }

  // nullopt if there is none at the moment.
  [[nodiscard]] std::optional<T> try_pop() {
    const std::lock_guard lock(mutex_);
    return take();
  }

 private:
  std::optional<T> take() {
    if (items_.empty()) return std::nullopt;
    auto [item, weight] = std::move(items_.front());
    items_.pop_front();
    weight_ -= weight;
    has_room_.notify_one();
    return std::move(item);
  }

  const int64_t max_weight_;
  std::mutex mutex_;
  std::condition_variable has_room_, has_items_;
  std::deque<std::pair<T, int64_t>> items_;
  int64_t weight_ = 0;
  bool is_closed_ = false, is_cancelled_ = false;
  std::exception_ptr error_;
};

}  // namespace prm_score
