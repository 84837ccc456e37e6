#include "prm_score/io/pair_reader.h"

#include <utility>

#include "prm_score/io/line_kind.h"

namespace prm_score {
namespace {

// As why_not_string(), with the help that people with chat data need.
std::string why_no_text(const std::string& key, const JsonMember* field) {
  std::string reason = why_not_string(key, field);
  if (field != nullptr && field->kind == JsonKind::kArray) {
    reason +=
        R"(; a list of messages is flattened by: jq -c 'map_values(if type == "array" then map(.content) | join("\n\n") else . end)')";
  }
  return reason;
}

std::string subset_of(const JsonMember* field) {
  if (field == nullptr || field->kind == JsonKind::kNull) return "";
  return field->kind == JsonKind::kString ? field->text : std::string(field->value_json);
}

}  // namespace

PairParser::PairParser(InputFields fields, PairFields pair_fields)
    : fields_(std::move(fields)), pair_fields_(std::move(pair_fields)) {
  const std::string context = fields_.context.value_or(kUsualContextField);
  wanted_ = wanted_members(fields_, {context, pair_fields_.chosen, pair_fields_.rejected, pair_fields_.subset});
}

PairLine PairParser::parse(std::string_view line, RowOrigin origin) const {
  const auto parsed = parse_json_line(line, wanted_);
  if (auto reason = why_no_object(parsed); !reason.empty()) return LineError{std::move(origin), reason};
  repeat_in_row(parsed, fields_, origin);
  origin.subset = subset_of(parsed.find(pair_fields_.subset));

  const std::string context_name = fields_.context.value_or(kUsualContextField);
  const auto* context = parsed.find(context_name);
  const bool is_null = context != nullptr && context->kind == JsonKind::kNull;
  const bool has_context = fields_.context || (context != nullptr && !is_null);
  if (has_context) {
    if (auto reason = why_no_text(context_name, context); !reason.empty()) return LineError{std::move(origin), reason};
  }
  PreferencePair pair;
  for (auto [document, name] :
       {std::pair(&pair.chosen, &pair_fields_.chosen), std::pair(&pair.rejected, &pair_fields_.rejected)}) {
    const auto* text = parsed.find(*name);
    if (auto reason = why_no_text(*name, text); !reason.empty()) {
      if (text == nullptr) reason += looks_like_another_kind(line, LineKind::kPair);
      return LineError{std::move(origin), reason};
    }
    document->origin = origin;
    document->text = text->text;
    if (has_context) document->context = context->text;
  }
  return pair;
}

PairReader::PairReader(JsonlReaderOptions options, PairFields pair_fields)
    : lines_(std::move(options.lines)), parser_(std::move(options.fields), std::move(pair_fields)) {}

std::optional<PairLine> PairReader::next() {
  auto line = lines_.next();
  if (!line) return std::nullopt;
  if (!line->error.empty()) return LineError{std::move(line->origin), std::move(line->error)};
  return parser_.parse(line->bytes, std::move(line->origin));
}

}  // namespace prm_score
