#include "scoring_runs.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <nanobind/nanobind.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

namespace nb = nanobind;

// The runs of this process that have not ended.
class RunsUnderWay {
 public:
  void add(StopFlag& stop) {
    const std::lock_guard lock(mutex_);
    if (is_closed_) throw Error("the interpreter is ending");
    if (stops_.empty()) num_threads_before_ = at::get_num_threads();
    stops_.push_back(&stop);
  }

  void remove(StopFlag& stop) {
    const std::lock_guard lock(mutex_);
    std::erase(stops_, &stop);
    if (stops_.empty()) at::set_num_threads(num_threads_before_);
    changed_.notify_all();
  }

  void close() {
    std::unique_lock lock(mutex_);
    is_closed_ = true;
    for (StopFlag* stop : stops_) *stop = true;
    changed_.wait(lock, [&] { return stops_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<StopFlag*> stops_;
  int num_threads_before_ = 0;
  bool is_closed_ = false;
};

RunsUnderWay& runs_under_way() {
  static RunsUnderWay runs;
  return runs;
}

// Puts what a signal handler of Python has raised into `raised`. Handlers run on Python's main thread only.
void look_after_signals(std::optional<nb::python_error>& raised) {
  const nb::gil_scoped_acquire lock;
  if (PyErr_CheckSignals() != 0) raised.emplace();
}

}  // namespace

void run_beside_python(const std::function<void(const StopFlag& stop)>& work) {
  const nb::gil_scoped_release unlocked;
  StopFlag stop = false;
  std::packaged_task<void()> task([&] {
    runs_under_way().add(stop);
    struct Removal {
      StopFlag& stop;
      ~Removal() { runs_under_way().remove(stop); }
    } removal{stop};
    work(stop);
  });
  std::future<void> end = task.get_future();
  std::thread thread(std::move(task));
  std::optional<nb::python_error> interruption;
  constexpr auto kLookAgain = std::chrono::milliseconds(50);
  while (end.wait_for(kLookAgain) != std::future_status::ready) {
    if (!interruption) look_after_signals(interruption);
    if (interruption) stop = true;
  }
  thread.join();
  if (interruption) throw *std::move(interruption);
  end.get();
}

void end_all_runs() { runs_under_way().close(); }

}  // namespace prm_score
