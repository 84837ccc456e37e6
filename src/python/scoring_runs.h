// scoring_runs.h - work that goes on without Python: away from its threads, its lock, and torch's settings.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>

namespace prm_score {

// Set to end a run early.
using StopFlag = std::atomic<bool>;

// Runs `work` on a thread of its own, holding `turn`, and waits for it without Python's lock, which the caller holds.
// Ctrl-C sets the flag; the exception that it stands for is thrown when `work` has ended. What `work` throws is thrown
// here. If the interpreter ends, `work` may not have been called.
//
// A thread of its own: only so can Python's main thread look after Ctrl-C; and libgomp ties its threads to those that
// use them, so a process that is forked off later has nothing of them that does not work any more.
void run_beside_python(std::timed_mutex& turn, const std::function<void(const StopFlag& stop)>& work);

// Ends every run and waits until none is left; none begins any more. For the end of the interpreter, which threads of
// the daemon kind outlive. To be called without Python's lock.
void end_all_runs();

}  // namespace prm_score
