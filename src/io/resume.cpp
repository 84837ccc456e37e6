#include "prm_score/io/resume.h"

#include <variant>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"

namespace prm_score {
namespace {

const RowOrigin& origin_of(const InputLine& line) {
  if (const auto* bad = std::get_if<LineError>(&line)) return bad->origin;
  return std::get<Document>(line).origin;
}

std::string place(const std::string& file, int64_t line) {
  return (file.empty() ? "" : file + ", ") + "line " + std::to_string(line);
}

[[noreturn]] void throw_too_short(int64_t num_rows, int64_t num_found) {
  throw Error("--resume: input: expected at least the " + std::to_string(num_rows) +
              " lines that are answered (blank ones not counted), found " + std::to_string(num_found));
}

void expect_same_line(const RowOrigin& found, const AnsweredLine& answered) {
  const std::string id = found.id_json.empty() ? "" : nlohmann::json::parse(found.id_json).dump();
  if (found.line == answered.line && found.file == answered.file && id == answered.id_json) return;
  throw Error("--resume: input: expected " + place(answered.file, answered.line) +
              (answered.id_json.empty() ? " without an id" : " with id " + answered.id_json) +
              ", as a row says that is there, found " + place(found.file, found.line) +
              (id.empty() ? " without one" : " with id " + id));
}

}  // namespace

AnsweredInput skip_answered(JsonlReader& reader, const OutputFile& output) {
  AnsweredInput input;
  const RunProgress& surely_there = output.surely_there();
  const int64_t num_rows = surely_there.num_rows(), num_in_all = output.answered().num_rows();
  for (int64_t row = 0; row < num_rows; ++row) {
    const auto origin = reader.skip();
    if (!origin) throw_too_short(num_in_all, row);
    input = {.num_lines = origin->num_lines, .input_sha256 = origin->input_sha256};
  }
  if (num_rows > 0 && input.input_sha256 != surely_there.input_sha256) {
    throw Error("--resume: input: expected the lines that are answered, found others: SHA-256 of the first " +
                std::to_string(surely_there.counts.num_lines) + " lines: " + surely_there.input_sha256 + " there, " +
                input.input_sha256 + " now");
  }
  int64_t num_found = num_rows;
  for (const AnsweredLine& answered : output.since_then()) {
    const auto line = reader.next();
    if (!line) throw_too_short(num_in_all, num_found);
    const RowOrigin& origin = origin_of(*line);
    expect_same_line(origin, answered);
    input = {.num_lines = origin.num_lines, .input_sha256 = origin.input_sha256};
    ++num_found;
  }
  return input;
}

}  // namespace prm_score
