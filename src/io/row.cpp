// The rows, field by field; * = only if there is one.
//
//   scored  {"line":1,"file"*:"a.jsonl","id"*:..,"input"*:{..},"reward":0.71,"num_tokens":311,"num_chunks":5,
//            "log_odds":[0.5,null,..],"spans"*:[{"tokens":[0,64],"chars":[0,301],"bytes":[0,303]},..],
//            "warnings"*:["context_cut",..],"ids_sha256"*:"3f.."}
//   bad     {"line":7,"file"*:"a.jsonl","id"*:..,"input"*:{..},"reward":null,"error":"text: missing field \"text\""}
//   pair    {"line":1,"file"*:"a.jsonl","id"*:..,"input"*:{..},"reward_chosen":0.71,"reward_rejected":0.3,
//            "margin":0.41,"probability":0.6,"warnings"*:[..]}; bad: the four are null, and "error" follows them
//   prompt  {"line":1,"file"*:"a.jsonl","id"*:..,"chunk":0,"start":0,"end":64,"prompt":"..","input_ids":[220,..]}
//
// `id` and the fields in `input` are JSON text of the input, unchanged. Log-odds are in nats, printed shortest as
// float32, the reward shortest as float64. Ranges are half-open.
#include "prm_score/io/row.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "prm_score/io/json_line.h"

namespace prm_score {
namespace {

// The shortest digits that read back as the same number; null for what JSON cannot say.
template <typename Number>
void append_number(std::string& row, Number number) {
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(number)) {
      row += "null";
      return;
    }
  }
  char digits[32];
  const auto result = std::to_chars(digits, digits + sizeof(digits), number);
  row.append(digits, result.ptr);
}

template <typename Range, typename Append>
void append_array(std::string& row, const Range& elements, Append append_element) {
  row += '[';
  bool is_first = true;
  for (const auto& element : elements) {
    if (!is_first) row += ',';
    is_first = false;
    append_element(element);
  }
  row += ']';
}

void append_range(std::string& row, std::string_view name, int64_t begin, int64_t end) {
  row.append("\"").append(name).append("\":[");
  append_number(row, begin);
  row += ',';
  append_number(row, end);
  row += ']';
}

void append_span(std::string& row, const ChunkSpan& span) {
  row += '{';
  append_range(row, "tokens", span.token_begin, span.token_end);
  row += ',';
  append_range(row, "chars", span.char_begin, span.char_end);
  row += ',';
  append_range(row, "bytes", span.byte_begin, span.byte_end);
  row += '}';
}

// `{"line":..` up to the id.
std::string start_row(const RowOrigin& origin) {
  std::string row = "{\"line\":";
  append_number(row, origin.line);
  if (!origin.file.empty()) row.append(",\"file\":").append(to_json_string(origin.file));
  if (!origin.id_json.empty()) row.append(",\"id\":").append(origin.id_json);
  return row;
}

void append_input(std::string& row, const RowOrigin& origin) {
  if (!origin.input_json.empty()) row.append(",\"input\":").append(origin.input_json);
}

// Nothing without a value.
void append_field(std::string& row, std::string_view name, std::string_view value_json) {
  if (!value_json.empty()) row.append(",\"").append(name).append("\":").append(value_json);
}

}  // namespace

std::string format_spans(const std::vector<ChunkSpan>& spans) {
  std::string json;
  if (!spans.empty()) append_array(json, spans, [&](const ChunkSpan& span) { append_span(json, span); });
  return json;
}

std::string format_warnings(const DocumentWarnings& warnings) {
  std::string json;
  if (!warnings.any()) return json;
  append_array(json, names_of(warnings), [&](std::string_view name) { json.append("\"").append(name).append("\""); });
  return json;
}

std::string format_row(const RowOrigin& origin, const DocumentReward& reward) {
  if (!reward.error.empty()) return format_error_row({origin, reward.error});
  std::string row = start_row(origin);
  append_input(row, origin);
  row += ",\"reward\":";
  append_number(row, reward.reward.value_or(NAN));
  row += ",\"num_tokens\":";
  append_number(row, reward.num_tokens);
  row += ",\"num_chunks\":";
  append_number(row, reward.num_chunks);
  row += ",\"log_odds\":";
  append_array(row, reward.log_odds, [&](const std::optional<float>& log_odds) {
    append_number(row, log_odds.value_or(NAN));  // null: skipped or dropped
  });
  append_field(row, "spans", format_spans(reward.spans));
  append_field(row, "warnings", format_warnings(reward.warnings));
  if (!reward.ids_sha256.empty()) row.append(",\"ids_sha256\":\"").append(reward.ids_sha256).append("\"");
  return row + "}\n";
}

std::string format_pair_row(const RowOrigin& origin, const PairReward& reward) {
  std::string row = start_row(origin);
  append_input(row, origin);
  const auto append = [&](std::string_view name, const std::optional<double>& number) {
    row.append(",\"").append(name).append("\":");
    append_number(row, number.value_or(NAN));
  };
  append("reward_chosen", reward.reward_chosen);
  append("reward_rejected", reward.reward_rejected);
  append("margin", reward.margin);
  append("probability", reward.probability);
  append_field(row, "warnings", format_warnings(reward.warnings));
  if (!reward.error.empty()) row.append(",\"error\":").append(to_json_string(reward.error));
  return row + "}\n";
}

std::string format_error_row(const LineError& error) {
  std::string row = start_row(error.origin);
  append_input(row, error.origin);
  return row + ",\"reward\":null,\"error\":" + to_json_string(error.reason) + "}\n";
}

std::string format_prompt_row(const RowOrigin& origin, const DocumentPrompts& document, const Prompt& prompt) {
  const Chunk& chunk = document.chunks[static_cast<size_t>(prompt.chunk)];
  std::string row = start_row(origin);
  row += ",\"chunk\":";
  append_number(row, prompt.chunk);
  row += ",\"start\":";
  append_number(row, chunk.begin);
  row += ",\"end\":";
  append_number(row, chunk.end);
  row.append(",\"prompt\":").append(to_json_string(document.text(prompt))).append(",\"input_ids\":");
  append_array(row, document.input_ids(prompt), [&](TokenId id) { append_number(row, id); });
  return row + "}\n";
}

}  // namespace prm_score
