// pipeline.h - reader, answer, writer: one document after another, rows in input order.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "prm_score/io/jsonl_reader.h"
#include "prm_score/io/jsonl_writer.h"
#include "prm_score/io/metadata.h"
#include "prm_score/text/document.h"

namespace prm_score {

// What became of a document.
enum class Answer {
  kGood,     // its rows are written
  kBad,      // its error row is written
  kStopped,  // given up in the middle, nothing is written
};

// Writes the row or rows of one document.
using AnswerDocument = std::function<Answer(const Document&, JsonlWriter&)>;

enum class RunEnd {
  kInput,      // everything that was to be read is answered
  kMaxErrors,  // `max_errors` bad rows are written
  kStopped,    // asked to; what was begun is finished or given up whole
};

// What ends a run before its input does, and who watches it.
struct RunControl {
  std::optional<int64_t> max_errors;                         // bad rows
  const std::atomic<bool>& stop;                             // set by a signal handler, say
  std::function<void()> after_line = nullptr;                // called when a line is answered and counted; may be empty
  std::function<void(const LineError&)> bad_line = nullptr;  // called with what the reader calls bad; may be empty
};

// Answers every line of the input, the bad ones with error rows. `counts` is right whenever an Error leaves this
// function. Throws what reader, answer and writer throw.
RunEnd run_pipeline(JsonlReader& reader, const AnswerDocument& answer, JsonlWriter& writer, const RunControl& control,
                    RunCounts& counts);

// Of a run whose output nobody reads any more: 128 + SIGPIPE, as if that signal had ended it.
inline constexpr int kClosedPipeExitCode = 141;

inline constexpr int kSomeRowsAreBad = 3;

// Exit code of a run that no Error and no signal ended: 0, 1 or kSomeRowsAreBad.
[[nodiscard]] int exit_code(RunEnd end, const RunCounts& counts, bool errors_ok);

}  // namespace prm_score
