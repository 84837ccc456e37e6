#include "prm_score/io/jsonl_reader.h"

#include <algorithm>
#include <utility>

#include "prm_score/io/line_kind.h"

namespace prm_score {
namespace {

// The kept fields as one JSON object, in input order.
std::string kept_json(const std::vector<JsonMember>& fields, const InputFields& names) {
  std::string json = "{";
  for (const auto& field : fields) {
    const bool is_kept =
        names.keep_all || std::find(names.keep.begin(), names.keep.end(), field.key) != names.keep.end();
    if (!is_kept) continue;
    if (json.size() > 1) json += ',';
    json.append(field.key_json).append(":").append(field.value_json);
  }
  return json + "}";
}

}  // namespace

JsonMemberSelection wanted_members(const InputFields& fields, const std::vector<std::string>& others) {
  JsonMemberSelection wanted = {.keys = fields.keep, .all = fields.keep_all};
  wanted.keys.push_back(fields.id);
  wanted.keys.insert(wanted.keys.end(), others.begin(), others.end());
  return wanted;
}

std::string why_no_object(const JsonLine& line) {
  if (!line.error.empty() || line.kind == JsonKind::kObject) return line.error;
  return "line: expected an object, got " + std::string(json_kind_name(line.kind));
}

std::string why_not_string(const std::string& key, const JsonMember* field) {
  if (field == nullptr) return key + ": missing field \"" + key + "\"";
  if (field->kind == JsonKind::kString) return "";
  return key + ": expected a string, got " + std::string(json_kind_name(field->kind));
}

void repeat_in_row(const JsonLine& line, const InputFields& fields, RowOrigin& origin) {
  if (const auto* id = line.find(fields.id)) origin.id_json = id->value_json;
  if (fields.keep_all || !fields.keep.empty()) origin.input_json = kept_json(line.fields, fields);
}

DocumentParser::DocumentParser(InputFields fields) : fields_(std::move(fields)) {
  wanted_ = wanted_members(fields_, {fields_.text});
  if (fields_.context) wanted_.keys.push_back(*fields_.context);
}

InputLine DocumentParser::parse(std::string_view line, RowOrigin origin) const {
  const auto parsed = parse_json_line(line, wanted_);
  if (auto reason = why_no_object(parsed); !reason.empty()) return LineError{std::move(origin), reason};
  repeat_in_row(parsed, fields_, origin);
  const auto* text = parsed.find(fields_.text);
  if (auto reason = why_not_string(fields_.text, text); !reason.empty()) {
    if (text == nullptr) reason += looks_like_another_kind(line, LineKind::kDocument);
    return LineError{std::move(origin), reason};
  }
  if (!fields_.context) return Document{std::move(origin), text->text, ""};
  const auto* context = parsed.find(*fields_.context);
  if (auto reason = why_not_string(*fields_.context, context); !reason.empty()) {
    return LineError{std::move(origin), reason};
  }
  return Document{std::move(origin), text->text, context->text};
}

RowLineReader::RowLineReader(LineReaderOptions options)
    : max_line_bytes_(options.max_line_bytes), limit_(options.limit), lines_(std::move(options)) {
  num_rows_of_files_.resize(lines_.files().size());
}

InputSummary RowLineReader::summary() const {
  InputSummary summary = {.sha256 = lines_.input_sha256(), .files = {}};
  for (size_t i = 0; i < num_rows_of_files_.size(); ++i) {
    summary.files.push_back({.num_lines = lines_.num_lines_of_files()[i], .num_rows = num_rows_of_files_[i]});
  }
  return summary;
}

std::optional<RowLine> RowLineReader::next() {
  while (const auto line = lines_.next()) {
    if (line->is_blank()) continue;
    if (num_rows_of_files_[line->file_index]++ == 0) {
      const size_t first = line->bytes.find_first_not_of(" \t\r");
      begins_as_array_ |= first != std::string_view::npos && line->bytes[first] == '[';
    }
    RowLine found;
    const auto& files = lines_.files();
    if (files.size() > 1) found.origin.file = files[line->file_index];
    found.origin.line = line->number;
    found.origin.num_lines = lines_.num_lines();
    found.origin.num_input_bytes = lines_.num_input_bytes();
    found.origin.input_sha256 = line->input_sha256;
    found.bytes = line->bytes;
    if (line->is_too_long) found.error = "line: longer than " + std::to_string(max_line_bytes_) + " bytes";
    return found;
  }
  return std::nullopt;
}

JsonlReader::JsonlReader(JsonlReaderOptions options)
    : lines_(std::move(options.lines)), parser_(std::move(options.fields)) {}

std::optional<InputLine> JsonlReader::next() {
  auto line = lines_.next();
  if (!line) return std::nullopt;
  if (!line->error.empty()) return LineError{std::move(line->origin), std::move(line->error)};
  return parser_.parse(line->bytes, std::move(line->origin));
}

std::optional<RowOrigin> JsonlReader::skip() {
  auto line = lines_.next();
  if (!line) return std::nullopt;
  return std::move(line->origin);
}

}  // namespace prm_score
