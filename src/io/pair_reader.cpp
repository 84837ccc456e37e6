#include "prm_score/io/pair_reader.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "prm_score/io/json_line.h"
#include "prm_score/io/line_kind.h"

namespace prm_score {
namespace {

// A string of jq, between single quotes of the shell.
std::string jq_string(std::string_view text) {
  std::string quoted;
  for (const char c : to_json_string(text)) quoted += c == '\'' ? std::string("\\u0027") : std::string(1, c);
  return quoted;
}

// What makes strings of the lists of messages in a line, with all else as it is. What both texts begin with (but for
// the last message of the shorter one) goes to the prompt, behind that of the line unless it has that already; a prompt
// that is a string often repeats the first message.
std::string flattening_command(const std::string& prompt, const std::string& chosen, const std::string& rejected) {
  const std::string p = jq_string(prompt), c = jq_string(chosen), r = jq_string(rejected);
  return R"(jq -c 'def m: if type == "array" then map(.content) else [values] end; )"
         ". as {" +
         p + ": $p, " + c + ": $c, " + r + ": $r} | " +
         R"(if [$p, $c, $r | arrays] == [] then . else [$p, $c, $r | m] as [$p, $c, $r] )"
         R"(| ([$c, $r | length] | min - 1) as $last | ([range($last) | select($c[.] != $r[.])][0] // $last) as $n )"
         R"(| $c[:$n] as $s | .[)" +
         p + R"(] = (if $s | index($p) then $s else $p + $s end | map(. + "\n\n") | add // ""))" + " | .[" + c +
         R"(] = ($c[$n:] | join("\n\n")) | .[)" + r + R"(] = ($r[$n:] | join("\n\n")) end')";
}

// Whether the command above makes a text of it: [{"role": "user", "content": ".."}, ..].
bool is_list_of_messages(const JsonMember& field) {
  if (field.kind != JsonKind::kArray) return false;
  const auto list = nlohmann::json::parse(field.value_json, nullptr, /*allow_exceptions=*/false);
  return list.is_array() && !list.empty() && std::ranges::all_of(list, [](const nlohmann::json& message) {
           return message.is_object() && message.contains("content") &&
                  (message["content"].is_string() || message["content"].is_null());
         });
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
  flattening_ = flattening_command(context, pair_fields_.chosen, pair_fields_.rejected);
}

std::string PairParser::why_no_text(const std::string& key, const JsonMember* field) const {
  std::string reason = why_not_string(key, field);
  if (field != nullptr && is_list_of_messages(*field)) reason += "; a list of messages is flattened by: " + flattening_;
  return reason;
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
