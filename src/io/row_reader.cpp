#include "prm_score/io/row_reader.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/io/json_line.h"
#include "prm_score/io/line_kind.h"

namespace prm_score {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxShownBytes = 40;
constexpr const char* kGotKind = "got what looks like ";

Error wrong_field(const std::string& name, std::string_view expected, std::string_view found) {
  return Error(name + ": expected " + std::string(expected) + ", got " + std::string(found));
}

// The value of a field in a row whose text is JSON already.
Json value_of(const JsonMember& field) { return Json::parse(field.value_json, nullptr, /*allow_exceptions=*/false); }

const JsonMember& required(const JsonLine& line, const std::string& name) {
  if (const auto* field = line.find(name)) return *field;
  throw Error(name + ": missing field \"" + name + "\"");
}

std::string required_string(const JsonLine& line, const std::string& name) {
  const auto& field = required(line, name);
  if (field.kind != JsonKind::kString) throw wrong_field(name, "a string", json_kind_name(field.kind));
  return field.text;
}

std::string optional_string(const JsonLine& line, const std::string& name) {
  return line.find(name) == nullptr ? "" : required_string(line, name);
}

// A number as it stands there, what else there is by its name.
std::string shown(const Json& value) {
  return value.is_number() ? value.dump().substr(0, kMaxShownBytes) : std::string(value.type_name());
}

// A count or an offset.
int64_t as_count(const Json& value, const std::string& name) {
  constexpr int64_t kMax = int64_t{1} << 50;
  if (value.is_number_integer()) {
    const bool fits = !value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{kMax};
    if (fits && value.get<int64_t>() >= 0) return value.get<int64_t>();
  }
  throw wrong_field(name, "an integer >= 0", shown(value));
}

int64_t required_count(const JsonLine& line, const std::string& name) {
  const auto& field = required(line, name);
  if (field.kind != JsonKind::kNumber) throw wrong_field(name, "an integer >= 0", json_kind_name(field.kind));
  const Json value = value_of(field);
  if (value.is_discarded()) throw wrong_field(name, "an integer >= 0", field.value_json.substr(0, kMaxShownBytes));
  return as_count(value, name);
}

// As row.cpp prints them: shortest as float32.
std::vector<std::optional<float>> log_odds_of(const JsonLine& line, int64_t num_chunks) {
  const auto& field = required(line, "log_odds");
  if (field.kind != JsonKind::kArray) throw wrong_field("log_odds", "an array", json_kind_name(field.kind));
  const Json values = value_of(field);
  if (values.is_discarded()) throw wrong_field("log_odds", "float32 numbers", "a larger one");
  if (static_cast<int64_t>(values.size()) != num_chunks) {
    throw wrong_field("log_odds", std::to_string(num_chunks) + " numbers (num_chunks)", std::to_string(values.size()));
  }
  std::vector<std::optional<float>> log_odds;
  log_odds.reserve(values.size());
  for (const Json& value : values) {
    if (!value.is_number() && !value.is_null()) throw wrong_field("log_odds", "numbers and null", value.type_name());
    log_odds.push_back(value.is_null() ? std::nullopt : std::optional(value.get<float>()));
    if (log_odds.back() && !std::isfinite(*log_odds.back())) {
      throw wrong_field("log_odds", "float32 numbers", "a larger one");
    }
  }
  return log_odds;
}

std::pair<int64_t, int64_t> range_of(const Json& span, const char* name) {
  const auto found = span.find(name);
  if (found == span.end() || !found->is_array() || found->size() != 2) {
    throw wrong_field(std::string("spans.") + name, "[begin, end]", "something else");
  }
  const std::pair range = {as_count((*found)[0], "spans"), as_count((*found)[1], "spans")};
  if (range.first > range.second) throw wrong_field(std::string("spans.") + name, "begin <= end", "begin > end");
  return range;
}

ChunkSpan span_of(const Json& value) {
  if (!value.is_object()) throw wrong_field("spans", "objects", "something else");
  ChunkSpan span;
  std::tie(span.token_begin, span.token_end) = range_of(value, "tokens");
  std::tie(span.char_begin, span.char_end) = range_of(value, "chars");
  std::tie(span.byte_begin, span.byte_end) = range_of(value, "bytes");
  return span;
}

std::vector<ChunkSpan> spans_of(const JsonLine& line, int64_t num_chunks) {
  std::vector<ChunkSpan> spans;
  const auto* field = line.find("spans");
  if (field == nullptr) return spans;
  const Json values = value_of(*field);
  if (!values.is_array() || static_cast<int64_t>(values.size()) != num_chunks) {
    throw wrong_field("spans", std::to_string(num_chunks) + " objects (num_chunks)",
                      values.is_array() ? std::to_string(values.size()) : "something else");
  }
  for (const Json& value : values) {
    const ChunkSpan span = span_of(value);
    const bool is_behind =
        spans.empty() || (span.byte_begin >= spans.back().byte_begin && span.byte_end >= spans.back().byte_end);
    if (!is_behind) throw wrong_field("spans", "bytes in order", "a chunk that begins or ends before the one before");
    spans.push_back(span);
  }
  return spans;
}

DocumentWarnings warnings_of(const JsonLine& line) {
  DocumentWarnings warnings;
  const auto* field = line.find("warnings");
  if (field == nullptr) return warnings;
  if (field->kind != JsonKind::kArray) throw wrong_field("warnings", "an array", json_kind_name(field->kind));
  for (const Json& value : value_of(*field)) {
    const auto known = std::ranges::find_if(kWarningNames, [&](const auto& name) { return value == name.first; });
    if (known == std::end(kWarningNames)) {
      throw wrong_field("warnings", "special_tokens, template_markers or context_cut", "something else");
    }
    warnings.*known->second = true;
  }
  return warnings;
}

RowOrigin origin_of(const JsonLine& line) {
  RowOrigin origin;
  origin.line = required_count(line, "line");
  origin.file = optional_string(line, "file");
  if (const auto* id = line.find("id")) origin.id_json = id->value_json;
  if (const auto* input = line.find("input")) {
    if (input->kind != JsonKind::kObject) throw wrong_field("input", "an object", json_kind_name(input->kind));
    origin.input_json = input->value_json;
  }
  return origin;
}

DocumentReward reward_of(const JsonLine& line) {
  DocumentReward reward;
  const auto& field = required(line, "reward");
  if (field.kind == JsonKind::kNull) {
    reward.error = required_string(line, "error");
    if (reward.error.empty()) throw wrong_field("error", "a reason", "none");
    return reward;
  }
  const Json value = value_of(field);
  if (field.kind != JsonKind::kNumber) {
    throw wrong_field("reward", "a number or null", json_kind_name(field.kind));
  }
  if (line.find("error") != nullptr) throw wrong_field("reward", "null in a row with an error", "a number");
  // The mean of float32 numbers.
  if (!value.is_number() || std::abs(value.get<double>()) > std::numeric_limits<float>::max()) {
    throw wrong_field("reward", "a number of float32's range", field.value_json.substr(0, kMaxShownBytes));
  }
  reward.reward = value.get<double>();
  reward.num_tokens = required_count(line, "num_tokens");
  reward.num_chunks = required_count(line, "num_chunks");
  reward.log_odds = log_odds_of(line, reward.num_chunks);
  reward.spans = spans_of(line, reward.num_chunks);
  reward.warnings = warnings_of(line);
  reward.ids_sha256 = optional_string(line, "ids_sha256");
  return reward;
}

void expect_row_of_scoring(const JsonLine& line) {
  if (line.kind != JsonKind::kObject) throw Error("expected an object, got " + std::string(json_kind_name(line.kind)));
  const LineKind kind = kind_of_line(line);
  if (kind == LineKind::kUnknown || kind == LineKind::kRow) return;
  throw Error(kGotKind + describe_kind(kind));
}

}  // namespace

RewardRow parse_reward_row(std::string_view line) {
  const auto parsed = parse_json_line(line, {.keys = {}, .all = true});
  if (!parsed.error.empty()) throw Error(parsed.error);
  expect_row_of_scoring(parsed);
  return {.origin = origin_of(parsed), .reward = reward_of(parsed)};
}

RewardRowReader::RewardRowReader(LineReaderOptions options)
    : files_(options.files), max_line_bytes_(options.max_line_bytes), lines_(std::move(options)) {
  if (files_.empty()) files_.emplace_back(kStandardInput);
}

std::optional<RewardRow> RewardRowReader::next() {
  while (const auto line = lines_.next()) {
    const std::string& file = files_[line->file_index];
    const std::string place =
        (file == kStandardInput ? "standard input" : file) + ": line " + std::to_string(line->number) + ": ";
    if (line->is_too_long) throw Error(place + "longer than " + std::to_string(max_line_bytes_) + " bytes");
    if (line->is_blank()) continue;
    try {
      RewardRow row = parse_reward_row(line->bytes);
      row.source = line->file_index;
      return row;
    } catch (const Error& error) {
      const bool is_of_line = std::string_view(error.what()).starts_with(kGotKind);  // and not of one of its fields
      throw Error(place + "expected a row of prm-score" + (is_of_line ? ", " : ": ") + error.what());
    }
  }
  return std::nullopt;
}

}  // namespace prm_score
