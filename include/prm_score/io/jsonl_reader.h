// jsonl_reader.h - JSON lines to documents.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/io/input_summary.h"
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

// The fields that a row repeats, and `others`.
[[nodiscard]] JsonMemberSelection wanted_members(const InputFields& fields, const std::vector<std::string>& others);

// Why a line is no JSON object; empty if it is one.
[[nodiscard]] std::string why_no_object(const JsonLine& line);

// Puts id and kept fields of the line, which is an object, where its row finds them.
void repeat_in_row(const JsonLine& line, const InputFields& fields, RowOrigin& origin);

// Why `key` is no string of a line; empty if it is one. `field`: the line's, nullptr if there is none.
[[nodiscard]] std::string why_not_string(const std::string& key, const JsonMember* field);

// A line that gets a row.
struct RowLine {
  RowOrigin origin;        // without what is in the line
  std::string_view bytes;  // valid until the next call
  std::string error;       // "line: longer than .. bytes"; empty if it was read
};

// How much of the input there is, as far as that is known.
struct InputSize {
  std::optional<int64_t> num_bytes;  // see LineReader::total_input_bytes
  std::optional<int64_t> num_lines;  // at most
};

// Gives every line of the shard but those of JSON white space only, in order; Errors and bounds as LineReader. Not
// thread-safe.
class RowLineReader {
 public:
  explicit RowLineReader(LineReaderOptions options);

  // nullopt at the end, at the limit, or when stopped.
  [[nodiscard]] std::optional<RowLine> next();

  [[nodiscard]] int64_t num_lines() const { return lines_.num_lines(); }              // blank ones, other shards' too
  [[nodiscard]] int64_t num_input_bytes() const { return lines_.num_input_bytes(); }  // see LineReader
  [[nodiscard]] InputSize size() const { return {lines_.total_input_bytes(), limit_}; }
  [[nodiscard]] InputSummary summary() const;  // of what was read so far

  // Whether the first line of a file so far begins with `[`, as a JSON array does.
  [[nodiscard]] bool begins_as_array() const { return begins_as_array_; }

 private:
  int64_t max_line_bytes_;
  std::optional<int64_t> limit_;
  LineReader lines_;
  std::vector<int64_t> num_rows_of_files_;
  bool begins_as_array_ = false;
};

// Documents from the lines of a RowLineReader; a line that is too long is a LineError. Not thread-safe.
class JsonlReader {
 public:
  explicit JsonlReader(JsonlReaderOptions options);

  // nullopt at the end, at the limit, or when stopped.
  [[nodiscard]] std::optional<InputLine> next();

  // Passes over the line that next() would give, without parsing it: id and kept fields stay empty.
  [[nodiscard]] std::optional<RowOrigin> skip();

  [[nodiscard]] int64_t num_lines() const { return lines_.num_lines(); }              // blank ones, other shards' too
  [[nodiscard]] int64_t num_input_bytes() const { return lines_.num_input_bytes(); }  // see LineReader
  [[nodiscard]] InputSize size() const { return lines_.size(); }
  [[nodiscard]] InputSummary summary() const { return lines_.summary(); }  // see RowLineReader
  [[nodiscard]] bool begins_as_array() const { return lines_.begins_as_array(); }

 private:
  RowLineReader lines_;
  DocumentParser parser_;
};

}  // namespace prm_score
