#include "scoring_runs.h"

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <nanobind/nanobind.h>
#include <unistd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

namespace nb = nanobind;

constexpr auto kLookAgain = std::chrono::milliseconds(50);

// The runs of this process that have not ended, those that wait for their turn too.
class RunsUnderWay {
 public:
  void add(StopFlag& stop) {
    const std::lock_guard lock(mutex_);
    if (is_closed_) throw Error("the interpreter is ending");
    stops_.push_back(&stop);
  }

  void remove(StopFlag& stop) {
    const std::lock_guard lock(mutex_);
    std::erase(stops_, &stop);
    changed_.notify_all();
  }

  void close() {
    std::unique_lock lock(mutex_);
    is_closed_ = true;
    for (StopFlag* stop : stops_) *stop = true;
    changed_.wait(lock, [&] { return stops_.empty(); });
  }

  [[nodiscard]] bool is_closed() {
    const std::lock_guard lock(mutex_);
    return is_closed_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<StopFlag*> stops_;
  bool is_closed_ = false;
};

// Never destroyed: threads of the daemon kind may look at it to the very end.
RunsUnderWay& runs_under_way() {
  static auto* const runs = new RunsUnderWay;
  return *runs;
}

void run_in_turn(std::timed_mutex& turn, const std::function<void(const StopFlag&)>& work, StopFlag& stop) {
  runs_under_way().add(stop);
  struct Removal {
    StopFlag& stop;
    ~Removal() { runs_under_way().remove(stop); }
  } const removal{stop};
  std::unique_lock lock(turn, std::defer_lock);
  while (!lock.try_lock_for(kLookAgain)) {
    if (stop) return;
  }
  work(stop);
}

// Handlers of Python run on its main thread only.
bool is_main_thread() { return ::gettid() == ::getpid(); }

// Puts what a signal handler of Python has raised into `raised`.
void look_after_signals(std::optional<nb::python_error>& raised) {
  const nb::gil_scoped_acquire lock;
  if (PyErr_CheckSignals() != 0) raised.emplace();
}

// Python ends a thread that asks for its lock when there is no interpreter any more, in a way that C++ calls an error.
void never_return_to_an_ended_interpreter() {
  while (!is_main_thread() && runs_under_way().is_closed()) ::pause();
}

}  // namespace

void run_beside_python(std::timed_mutex& turn, const std::function<void(const StopFlag& stop)>& work) {
  const nb::gil_scoped_release unlocked;
  StopFlag stop = false;
  std::packaged_task<void()> task([&] { run_in_turn(turn, work, stop); });
  std::future<void> end = task.get_future();
  std::thread thread(std::move(task));
  std::optional<nb::python_error> interruption;
  while (is_main_thread() && end.wait_for(kLookAgain) != std::future_status::ready) {
    if (!interruption) look_after_signals(interruption);
    if (interruption) stop = true;
  }
  thread.join();
  never_return_to_an_ended_interpreter();
  if (interruption) throw *std::move(interruption);
  end.get();
}

void end_all_runs() { runs_under_way().close(); }

}  // namespace prm_score
