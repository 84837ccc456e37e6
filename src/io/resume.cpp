#include "prm_score/io/resume.h"

#include "prm_score/error.h"

namespace prm_score {

AnsweredInput skip_answered(JsonlReader& reader, const OutputFile& output) {
  AnsweredInput input;
  const RunProgress& answered = output.answered();
  const int64_t num_rows = answered.num_rows();
  if (num_rows > 0 && answered.input_sha256.empty()) {
    throw Error("--resume: expected the rows of a run, found those of a merge that did not come to its end");
  }
  for (int64_t row = 0; row < num_rows; ++row) {
    const auto origin = reader.skip();
    if (!origin) {
      throw Error("--resume: input: expected at least the " + std::to_string(num_rows) +
                  " lines that are answered (blank ones not counted), found " + std::to_string(row));
    }
    input = {.num_lines = origin->num_lines, .input_sha256 = origin->input_sha256};
  }
  if (num_rows > 0 && input.input_sha256 != answered.input_sha256) {
    throw Error("--resume: input: expected the lines that are answered, found others: SHA-256 of the first " +
                std::to_string(answered.counts.num_lines) + " lines: " + answered.input_sha256 + " there, " +
                input.input_sha256 + " now");
  }
  return input;
}

}  // namespace prm_score
