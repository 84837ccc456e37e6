// progress.h - how far a run is, how fast, and how long it will still take; in one line. Draws nothing itself.
//
//   27 % [=======>            ] 0:10, 1:23 left, 1234 rows (5 bad), 108 chunks/s, 6912 tokens/s, 12.3 of 45.6 MB
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "prm_score/io/jsonl_reader.h"
#include "prm_score/io/metadata.h"

namespace prm_score {

using ProgressTime = std::chrono::steady_clock::time_point;

// What is done: rows that are written, and the bytes of the input that they answer.
struct ProgressCounts {
  RunCounts counts;
  int64_t num_input_bytes = 0;

  bool operator==(const ProgressCounts&) const = default;
};

// Estimates from what it is told. Rates are those of the last 20 seconds, or of longer where nothing was done for
// longer, so that one long document is no standstill; they and the time left are unknown at first. The time left is
// that of the bytes that are left, or of the lines of --limit where they are nearer.
class ProgressMeter {
 public:
  // `begin`: what was done before `start`. It counts as done, and in no rate.
  ProgressMeter(InputSize size, const ProgressCounts& begin, ProgressTime start);

  // `counts`: as they are `now`, which is no earlier than in the last call.
  void update(const ProgressCounts& counts, ProgressTime now);

  // All that is known, without a bar: "27 %, 0:10, 1:23 left, ..".
  [[nodiscard]] std::string line(ProgressTime now) const;

  // At most `width` columns (printable ASCII): as much of the line as fits, the beginning first, and a bar if there is
  // room.
  [[nodiscard]] std::string bar(ProgressTime now, size_t width) const;

 private:
  struct Sample {
    ProgressTime time;
    ProgressCounts counts;
  };
  struct Rates {
    double chunks = 0, tokens = 0, parts = 0;  // a second; parts: of the whole input
    double age_s = 0;                          // of what they tell
  };

  [[nodiscard]] std::optional<double> part_done(const ProgressCounts& counts) const;
  [[nodiscard]] bool is_limit_nearer(const ProgressCounts& counts) const;
  [[nodiscard]] std::optional<Rates> rates(ProgressTime now) const;
  [[nodiscard]] std::string time_text(ProgressTime now) const;
  [[nodiscard]] std::string bytes_text() const;
  [[nodiscard]] std::vector<std::string> facts(ProgressTime now) const;

  InputSize size_;
  ProgressTime start_;
  std::deque<Sample> samples_;  // one per change, the last one as it is now; never empty
};

// Shows how far a run is several times a second, on a thread of its own, also while nothing gets done.
class ProgressWatch {
 public:
  using Show = std::function<void(const ProgressMeter& meter, ProgressTime now)>;

  static constexpr std::chrono::milliseconds kInterval{200};

  // `show` is called by the thread only, and must not throw. Throws std::system_error if there is no thread to be had.
  ProgressWatch(ProgressMeter meter, Show show, std::chrono::milliseconds interval = kInterval);
  ~ProgressWatch();  // no call of `show` begins or goes on after it
  ProgressWatch(const ProgressWatch&) = delete;
  ProgressWatch& operator=(const ProgressWatch&) = delete;

  // From any thread; never waits for `show`.
  void update(const ProgressCounts& counts);

 private:
  void show_now_and_then();

  const std::chrono::milliseconds interval_;
  const Show show_;
  ProgressMeter meter_;  // of the thread
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<ProgressCounts> news_;  // guarded by mutex_, as is
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace prm_score
