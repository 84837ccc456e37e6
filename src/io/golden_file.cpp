#include "prm_score/io/golden_file.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/io/json_line.h"
#include "prm_score/io/line_reader.h"
#include "prm_score/io/replace_file.h"

namespace prm_score {
namespace {

using Json = nlohmann::json;

constexpr char kState[] = "state";

// The fields of one row, and what to say of those that are not as expected.
class RowFields {
 public:
  RowFields(std::string_view row, const std::string& place) : place_(place) {
    line_ = parse_json_line(row, {.keys = {}, .all = true});
    if (!line_.error.empty()) throw Error(place_ + ": " + line_.error);
    if (line_.kind != JsonKind::kObject) throw wrong("line", "an object", json_kind_name(line_.kind));
  }

  [[nodiscard]] Error wrong(std::string_view name, std::string_view expected, std::string_view found) const {
    return Error(place_ + ": " + std::string(name) + ": expected " + std::string(expected) + ", got " +
                 std::string(found));
  }

  // JSON text as it stands there; empty without the field.
  [[nodiscard]] std::string json(const char* name) const {
    const auto* field = line_.find(name);
    return field == nullptr ? "" : std::string(field->value_json);
  }

  // Decoded; empty without the field.
  [[nodiscard]] std::string text(const char* name) const {
    const auto* field = line_.find(name);
    if (field == nullptr) return "";
    if (field->kind != JsonKind::kString) throw wrong(name, "a string", json_kind_name(field->kind));
    return field->text;
  }

  [[nodiscard]] int64_t count(const char* name) const {
    const JsonMember& field = of_kind(name, JsonKind::kNumber);
    int64_t number = 0;
    const char* end = field.value_json.data() + field.value_json.size();
    const auto [read_to, error] = std::from_chars(field.value_json.data(), end, number);
    if (error != std::errc() || read_to != end || number < 0) {
      throw wrong(name, "an integer >= 0", field.value_json.substr(0, kMaxShownBytes));
    }
    return number;
  }

  // nullopt for null.
  [[nodiscard]] std::optional<double> number_or_null(const char* name) const {
    if (const auto* field = line_.find(name); field != nullptr && field->kind == JsonKind::kNull) return std::nullopt;
    const JsonMember& field = of_kind(name, JsonKind::kNumber);
    double number = 0;
    const char* begin = field.value_json.data();
    const auto [read_to, error] = std::from_chars(begin, begin + field.value_json.size(), number);
    if (error != std::errc() || !std::isfinite(number)) {
      throw wrong(name, "a number that a double holds", field.value_json.substr(0, kMaxShownBytes));
    }
    return number;
  }

  // An array, parsed; empty without the field if it `may_be_missing`.
  [[nodiscard]] Json array(const char* name, bool may_be_missing) const {
    if (may_be_missing && line_.find(name) == nullptr) return Json();
    try {
      return Json::parse(of_kind(name, JsonKind::kArray).value_json);
    } catch (const Json::exception&) {  // JSON it is; a number in it is too large
      throw wrong(name, "numbers that a double holds", "others");
    }
  }

 private:
  static constexpr size_t kMaxShownBytes = 40;

  [[nodiscard]] const JsonMember& of_kind(const char* name, JsonKind kind) const {
    const auto* field = line_.find(name);
    if (field == nullptr) throw wrong(name, json_kind_name(kind), "none");
    if (field->kind != kind) throw wrong(name, json_kind_name(kind), json_kind_name(field->kind));
    return *field;
  }

  const std::string& place_;
  JsonLine line_;
};

std::vector<std::optional<double>> log_odds_of(const RowFields& fields, int64_t num_chunks) {
  constexpr char kName[] = "log_odds";
  std::vector<std::optional<double>> log_odds;
  for (const Json& chunk : fields.array(kName, /*may_be_missing=*/false)) {
    if (!chunk.is_null() && !chunk.is_number()) throw fields.wrong(kName, "numbers and null", chunk.type_name());
    log_odds.push_back(chunk.is_null() ? std::nullopt : std::optional(chunk.get<double>()));
  }
  if (std::ssize(log_odds) != num_chunks) {
    throw fields.wrong(kName, std::to_string(num_chunks) + " of them, as num_chunks says",
                       std::to_string(log_odds.size()));
  }
  return log_odds;
}

std::string compact(const Json& json) { return json.is_null() ? "" : json.dump(); }

}  // namespace

GoldenRow parse_golden_row(std::string_view row, const std::string& place) {
  const RowFields fields(row, place);
  GoldenRow parsed;
  parsed.line = fields.count("line");
  parsed.file = fields.text("file");
  parsed.id_json = fields.json("id");
  parsed.input_json = fields.json("input");
  parsed.reward = fields.number_or_null("reward");
  parsed.error = fields.text("error");
  if (parsed.reward.has_value() != parsed.error.empty()) {
    throw fields.wrong("reward", "null just in a row with an error", parsed.reward ? "a number" : "null");
  }
  if (!parsed.reward) return parsed;
  parsed.num_tokens = fields.count("num_tokens");
  parsed.num_chunks = fields.count("num_chunks");
  parsed.log_odds = log_odds_of(fields, parsed.num_chunks);
  parsed.spans_json = compact(fields.array("spans", /*may_be_missing=*/true));
  parsed.warnings_json = compact(fields.array("warnings", /*may_be_missing=*/true));
  parsed.ids_sha256 = fields.text("ids_sha256");
  return parsed;
}

std::vector<GoldenRow> read_golden(const std::string& path, int stop_fd) {
  LineReader reader({.files = {path}, .stop_fd = stop_fd});
  std::vector<GoldenRow> rows;
  while (const auto line = reader.next()) {
    const std::string place = path + ": line " + std::to_string(line->number);
    if (line->is_too_long) throw Error(place + ": expected a row, got a line that is too long");
    if (line->is_blank()) continue;
    rows.push_back(parse_golden_row(line->bytes, place));
  }
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
