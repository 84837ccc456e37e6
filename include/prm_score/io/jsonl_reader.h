// jsonl_reader.h - JSON lines to documents.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/io/json_line.h"
#include "prm_score/io/line_reader.h"
#include "prm_score/text/document.h"

namespace prm_score {

// Names of the input's fields.
struct InputFields {
  std::string text = "text";
  std::string id = "id";
  std::optional<std::string> context = {};  // no context field if not given
  std::vector<std::string> keep = {};       // copied to the row unchanged
  bool keep_all = false;                    // all fields are, also text, id and context
};

struct JsonlReaderOptions {
  LineReaderOptions lines;
  InputFields fields;
};

// Reads one line: its text, its context, and what its row repeats of it. Gives a LineError for a line that is not JSON
// (see json_line.h) or no object, and where text or context is missing or no string; id and kept fields are there if
// the line is an object. Pure, thread-safe.
class DocumentParser {
 public:
  explicit DocumentParser(InputFields fields);

  // `origin`: file and line.
  [[nodiscard]] InputLine parse(std::string_view line, RowOrigin origin) const;

 private:
  InputFields fields_;
  JsonMemberSelection wanted_;
};

// Gives every line but those of JSON white space only, in order; Errors and bounds as LineReader. A line that is too
// long is a LineError. Not thread-safe.
class JsonlReader {
 public:
  explicit JsonlReader(JsonlReaderOptions options);

  // nullopt at the end, at the limit, or when stopped.
  [[nodiscard]] std::optional<InputLine> next();

  // Passes over the line that next() would give, without parsing it: id and kept fields stay empty.
  [[nodiscard]] std::optional<RowOrigin> skip();

  [[nodiscard]] int64_t num_lines() const { return lines_.num_lines(); }  // blank ones too

 private:
  [[nodiscard]] RowOrigin origin_of(const Line& line) const;

  LineReader lines_;
  int64_t max_line_bytes_;
  DocumentParser parser_;
};

}  // namespace prm_score
