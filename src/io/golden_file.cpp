#include "prm_score/io/golden_file.h"

#include <charconv>
#include <filesystem>
#include <system_error>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/io/row.h"
#include "prm_score/io/row_reader.h"

namespace prm_score {
namespace {

using Json = nlohmann::json;

constexpr char kState[] = "state";

// What a row says of a float: its shortest digits, as a double.
double as_printed(float log_odds) {
  char digits[32];
  const char* end = std::to_chars(digits, digits + sizeof(digits), log_odds).ptr;
  double number = 0;
  std::from_chars(digits, end, number);
  return number;
}

}  // namespace

GoldenRow golden_row(const RowOrigin& origin, const DocumentReward& reward) {
  GoldenRow row;
  row.line = origin.line;
  row.file = origin.file;
  row.id_json = origin.id_json;
  row.input_json = origin.input_json;
  row.error = reward.error;
  if (!row.error.empty()) return row;
  row.reward = reward.reward;
  row.num_tokens = reward.num_tokens;
  row.num_chunks = reward.num_chunks;
  row.spans_json = format_spans(reward.spans);
  row.warnings_json = format_warnings(reward.warnings);
  row.ids_sha256 = reward.ids_sha256;
  for (const auto& log_odds : reward.log_odds) {
    row.log_odds.push_back(log_odds ? std::optional(as_printed(*log_odds)) : std::nullopt);
  }
  return row;
}

std::vector<GoldenRow> read_golden(const std::string& path, int stop_fd) {
  RewardRowReader reader({.files = {path}, .stop_fd = stop_fd});
  std::vector<GoldenRow> rows;
  while (const auto row = reader.next()) rows.push_back(golden_row(row->origin, row->reward));
  return rows;
}

std::string golden_metadata_name(const std::string& path) { return path + ".metadata.json"; }

std::optional<RunState> read_golden_state(const std::string& path) {
  const std::string name = golden_metadata_name(path);
  std::error_code error_code;
  if (!std::filesystem::exists(name, error_code) && !error_code) return std::nullopt;
  const std::string text = read_whole(name);
  try {
    const Json metadata = Json::parse(text);
    if (!metadata.is_object()) throw Error(name + ": expected an object, got " + metadata.type_name());
    if (!metadata.contains(kState)) return std::nullopt;
    return parse_run_state(metadata.at(kState).dump(), name + ": " + kState);
  } catch (const Json::exception& error) {
    throw Error(name + ": expected the metadata of a run, got something else (" + error.what() + ")");
  }
}

}  // namespace prm_score
