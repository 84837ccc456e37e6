// resume.h - finds the place in the input where an earlier run stopped.
#pragma once

#include <cstdint>
#include <string>

#include "prm_score/io/jsonl_reader.h"
#include "prm_score/io/output_file.h"

namespace prm_score {

struct AnsweredInput {
  int64_t num_lines = 0;     // blank ones too
  std::string input_sha256;  // of them; see line_reader.h
};

// Passes over the lines that `output` has answered; `reader` gives hashes. Throws Error if the input ends before, or if
// it is not the one that was answered, by its SHA-256.
[[nodiscard]] AnsweredInput skip_answered(JsonlReader& reader, const OutputFile& output);

}  // namespace prm_score
