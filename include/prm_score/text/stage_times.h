// stage_times.h - what a run's time goes to. Plain data, for whoever measures and whoever tells.
#pragma once

#include <chrono>
#include <cstdint>

namespace prm_score {

// Seconds by the clock on the wall. The stages from read on overlap: each is the time that its own thread spent in it,
// without waiting for the other stages, so that their sum may be more than `scoring`.
struct StageTimes {
  double load = 0;               // tokenizer, weights, preparing the device
  double self_check = 0;         // 0 without one
  double scoring = 0;            // from the first line to the last row
  double read = 0;               // reading, decompressing and parsing lines, waiting for the input included
  double tokenize = 0;           // ids of all prompts, and the plan of the forward passes
  double model = 0;              // the forward passes
  double write = 0;              // making rows and writing them, waiting for their reader included
  int64_t num_forward_rows = 0;  // token positions that the forward passes computed
};

// Adds the seconds of its life to a sum.
class ScopedSeconds {
 public:
  explicit ScopedSeconds(double& sum) : sum_(sum) {}
  ~ScopedSeconds() { sum_ += std::chrono::duration<double>(Clock::now() - start_).count(); }
  ScopedSeconds(const ScopedSeconds&) = delete;
  ScopedSeconds& operator=(const ScopedSeconds&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  double& sum_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace prm_score
