#include "prm_score/cli/pipeline.h"

#include <variant>

#include "prm_score/io/row.h"

namespace prm_score {
namespace {

Answer answer_line(const InputLine& line, const AnswerDocument& answer, JsonlWriter& writer,
                   const RunControl& control) {
  if (const auto* document = std::get_if<Document>(&line)) return answer(*document, writer);
  const auto& bad_line = std::get<LineError>(line);
  writer.write(format_error_row(bad_line));
  if (control.bad_line) control.bad_line(bad_line);
  return Answer::kBad;
}

}  // namespace

RunEnd run_pipeline(JsonlReader& reader, const AnswerDocument& answer, JsonlWriter& writer, const RunControl& control,
                    RunCounts& counts) {
  while (!control.stop) {
    const auto line = reader.next();
    counts.num_lines = reader.num_lines();
    if (!line) break;
    switch (answer_line(*line, answer, writer, control)) {
      case Answer::kGood:
        ++counts.num_scored_rows;
        break;
      case Answer::kBad:
        ++counts.num_bad_rows;
        break;
      case Answer::kStopped:
        return RunEnd::kStopped;
    }
    if (control.after_line) control.after_line();
    if (control.max_errors && counts.num_bad_rows >= *control.max_errors) return RunEnd::kMaxErrors;
  }
  writer.finish();
  return control.stop ? RunEnd::kStopped : RunEnd::kInput;
}

int exit_code(RunEnd end, const RunCounts& counts, bool errors_ok) {
  if (end == RunEnd::kMaxErrors) return 1;
  return counts.num_bad_rows > 0 && !errors_ok ? kSomeRowsAreBad : 0;
}

}  // namespace prm_score
