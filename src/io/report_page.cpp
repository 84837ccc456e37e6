#include "prm_score/io/report_page.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <unordered_map>
#include <utility>

#include "report_assets.h"
#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/text/sha256.h"

namespace prm_score {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxColumnBytes = size_t{12} << 20;  // of all fields together

// A number whose shortest digits as a double are those of the float.
Json json_of(const std::optional<float>& log_odds) {
  if (!log_odds) return nullptr;
  char digits[32] = {};
  std::to_chars(digits, digits + sizeof(digits) - 1, *log_odds);
  return std::strtod(digits, nullptr);
}

template <typename Range, typename Value>
Json array_of(const Range& elements, Value value) {
  Json array = Json::array();
  for (const auto& element : elements) array.push_back(value(element));
  return array;
}

// Strings that repeat, once each: `{"values":["a","b"],"at":[0,1,0,..]}`.
class Dictionary {
 public:
  void add(const std::string& text) {
    const auto [entry, is_new] = index_.try_emplace(text, index_.size());
    if (is_new) {
      num_bytes_ += text.size() + 3;
      values_.push_back(text);
    }
    num_bytes_ += 4;
    at_.push_back(entry->second);
  }
  [[nodiscard]] size_t num_bytes() const { return num_bytes_; }  // about what the JSON takes
  Json take_json() { return {{"values", std::move(values_)}, {"at", std::move(at_)}}; }

 private:
  std::unordered_map<std::string, size_t> index_;
  Json values_ = Json::array(), at_ = Json::array();
  size_t num_bytes_ = 0;
};

template <typename Text>
Json dictionary_json(const std::vector<TableRow>& rows, Text text) {
  Dictionary dictionary;
  for (const auto& row : rows) dictionary.add(text(row));
  return dictionary.take_json();
}

const FieldValue& field_of(const TableRow& row, size_t column) {
  static const FieldValue none;
  return column < row.fields.size() ? row.fields[column] : none;
}

bool is_number_column(const std::vector<TableRow>& rows, size_t column) {
  const auto is_number = [&](const TableRow& row) {
    const FieldValue& field = field_of(row, column);
    return field.is_number || field.text.empty();
  };
  return std::ranges::all_of(rows, is_number);
}

// The fields of the table; the largest go where all together are too large for a page, their names to `left_out`.
Json columns_json(const Report& report, std::vector<std::string>& left_out) {
  std::vector<Dictionary> columns(report.columns.size());
  size_t num_bytes = 0;
  for (size_t i = 0; i < columns.size(); ++i) {
    for (const auto& row : report.table) columns[i].add(field_of(row, i).text);
    num_bytes += columns[i].num_bytes();
  }
  std::vector<bool> is_out(columns.size());
  while (num_bytes > kMaxColumnBytes) {
    size_t largest = 0, most = 0;
    for (size_t i = 0; i < columns.size(); ++i) {
      if (!is_out[i] && columns[i].num_bytes() > most) most = columns[largest = i].num_bytes();
    }
    is_out[largest] = true;
    num_bytes -= most;
    left_out.push_back(report.columns[largest]);
  }
  Json array = Json::array();
  for (size_t i = 0; i < columns.size(); ++i) {
    if (is_out[i]) continue;
    Json column = columns[i].take_json();
    column["name"] = report.columns[i];
    column["isNumber"] = is_number_column(report.table, i);
    array.push_back(std::move(column));
  }
  return array;
}

int warning_bits(const DocumentWarnings& warnings) {
  return (warnings.special_tokens ? 1 : 0) | (warnings.template_markers ? 2 : 0) | (warnings.context_cut ? 4 : 0);
}

Json reward_json(const std::optional<double>& reward) { return reward ? Json(*reward) : Json(nullptr); }

Json table_json(const Report& report) {
  const auto& rows = report.table;
  std::vector<std::string> left_out = report.columns_left_out;
  Json table;
  table["number"] = array_of(rows, [](const TableRow& row) { return row.number; });
  table["line"] = array_of(rows, [](const TableRow& row) { return row.origin.line; });
  table["source"] = array_of(rows, [](const TableRow& row) { return row.source; });
  table["file"] = dictionary_json(rows, [](const TableRow& row) { return row.origin.file; });
  table["id"] = dictionary_json(rows, [](const TableRow& row) { return row.id; });
  table["reward"] = array_of(rows, [](const TableRow& row) { return reward_json(row.reward); });
  table["tokens"] = array_of(rows, [](const TableRow& row) { return row.num_tokens; });
  table["chunks"] = array_of(rows, [](const TableRow& row) { return row.num_chunks; });
  table["warnings"] = array_of(rows, [](const TableRow& row) { return warning_bits(row.warnings); });
  table["error"] = dictionary_json(rows, [](const TableRow& row) { return row.error; });
  table["columns"] = columns_json(report, left_out);
  table["columnsLeftOut"] = left_out;
  return table;
}

Json bad_rows_json(const std::vector<TableRow>& rows) {
  return array_of(rows, [](const TableRow& row) -> Json {
    return {{"line", row.origin.line},
            {"source", row.source},
            {"file", row.origin.file},
            {"id", row.id},
            {"error", row.error}};
  });
}

const char* name_of(DetailKind kind) {
  switch (kind) {
    case DetailKind::kBest:
      return "best";
    case DetailKind::kWorst:
      return "worst";
    case DetailKind::kSample:
      return "sample";
  }
  return "";
}

// A piece of text is [text, first chunk, end chunk].
Json details_json(const DetailedDocument& document) {
  return {{"number", document.row.number},
          {"kind", name_of(document.kind)},
          {"logOdds", array_of(document.log_odds, [](const auto& log_odds) { return json_of(log_odds); })},
          {"tokens", array_of(document.spans,
                              [](const ChunkSpan& span) {
                                return Json{span.token_begin, span.token_end};
                              })},
          {"pieces", array_of(document.text.pieces,
                              [](const TextPiece& piece) {
                                return Json::array({piece.text, piece.first_chunk, piece.end_chunk});
                              })},
          {"overlaps", document.text.overlaps},
          {"charactersLeftOut", document.text.num_left_out},
          {"whyNoText", document.text.why_not}};
}

Json summary_json(const ReportStatistics& statistics) {
  std::vector<double> sorted = statistics.rewards();
  if (sorted.empty()) return nullptr;
  std::ranges::sort(sorted);
  return {{"mean", statistics.moments().mean},
          {"deviation", statistics.moments().standard_deviation()},
          {"least", sorted.front()},
          {"low", quantile(sorted, 0.05)},
          {"median", quantile(sorted, 0.5)},
          {"high", quantile(sorted, 0.95)},
          {"most", sorted.back()}};
}

Json counts_json(const RunCounts& counts) {
  return {{"scored", counts.num_scored_rows},
          {"bad", counts.num_bad_rows},
          {"tokens", counts.num_tokens},
          {"chunks", counts.num_chunks},
          {"warnings", {counts.num_special_tokens, counts.num_template_markers, counts.num_context_cut}}};
}

Json lengths_json(const ReportStatistics& statistics) {
  return array_of(statistics.lengths(), [](const LengthBin& bin) -> Json {
    return {{"from", bin.min_tokens}, {"to", bin.max_tokens},       {"middle", bin.median_tokens}, {"low", bin.quarter},
            {"median", bin.median},   {"high", bin.three_quarters}, {"count", bin.count}};
  });
}

Json positions_json(const ReportStatistics& statistics) {
  return array_of(statistics.positions(), [](const PositionBin& bin) -> Json {
    return {{"first", bin.first},
            {"last", bin.last},
            {"mean", bin.log_odds.mean},
            {"deviation", bin.log_odds.standard_deviation()},
            {"count", bin.log_odds.count}};
  });
}

Json report_json(const Report& report, const ReportOrigin& origin) {
  const ReportStatistics& statistics = report.statistics;
  const Histogram histogram = make_histogram(statistics.rewards());
  Json json;
  json["version"] = origin.version;
  json["sources"] = report.sources;
  json["texts"] = origin.texts;
  json["counts"] = counts_json(statistics.counts());
  json["summary"] = summary_json(statistics);
  json["histogram"] = {{"begin", histogram.begin}, {"width", histogram.width}, {"counts", histogram.counts}};
  json["lengths"] = lengths_json(statistics);
  const auto correlation = statistics.length_correlation();
  json["lengthCorrelation"] = correlation ? Json(*correlation) : Json(nullptr);
  json["positions"] = positions_json(statistics);
  json["numPositions"] = statistics.num_positions();
  json["table"] = table_json(report);
  json["badRows"] = bad_rows_json(report.bad_rows);
  json["details"] = array_of(report.details, details_json);
  json["hasTexts"] = report.has_texts;
  return json;
}

// Names of files for a heading.
std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + (name == "-" ? "standard input" : name);
  return text;
}

// `text` with each {{NAME}} replaced; what is put in is not looked at again.
std::string fill_in(std::string_view text, const std::vector<std::pair<std::string_view, std::string>>& values) {
  std::string filled;
  while (true) {
    const size_t begin = text.find("{{");
    filled.append(text.substr(0, begin));
    if (begin == std::string_view::npos) return filled;
    const size_t end = text.find("}}", begin);
    const std::string_view name = text.substr(begin + 2, end - begin - 2);
    const auto found = std::ranges::find(values, name, [](const auto& value) { return value.first; });
    if (found == values.end()) throw Error("report: page.html: unknown place {{" + std::string(name) + "}}");
    filled.append(found->second);
    text.remove_prefix(end + 2);
  }
}

// Paragraphs that say who gave the rewards, as far as it is known.
std::string judges_html(const RowsOrigin& rows) {
  std::string html;
  for (const std::string& judge : rows.judges) html += "<p class=\"muted\">Judge: " + escape_html(judge) + "</p>\n";
  if (rows.difference.empty()) return html;
  return html + "<p class=\"note\">These rewards cannot be compared with each other: " + escape_html(rows.difference) +
         "</p>\n";
}

// The contents of an element with only that text inside; what its hash is made of.
std::string source_hash(std::string_view contents) { return "'sha256-" + sha256_base64(contents) + "'"; }

std::string content_security_policy() {
  return "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + source_hash(report_style()) +
         "; script-src " + source_hash(report_chart_library()) + " " + source_hash(report_script());
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string escape_json_for_script(std::string_view json) {
  constexpr std::pair<std::string_view, std::string_view> kEscapes[] = {
      {"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}, {"\u2028", "\\u2028"}, {"\u2029", "\\u2029"}};
  std::string escaped;
  escaped.reserve(json.size());
  while (!json.empty()) {
    const auto found =
        std::ranges::find_if(kEscapes, [&](const auto& escape) { return json.starts_with(escape.first); });
    const bool is_found = found != std::end(kEscapes);
    escaped += is_found ? found->second : json.substr(0, 1);
    json.remove_prefix(is_found ? found->first.size() : 1);
  }
  return escaped;
}

std::string format_report(const Report& report, const ReportOrigin& origin) {
  const std::string json =
      report_json(report, origin).dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  return fill_in(report_html(), {{"POLICY", content_security_policy()},
                                 {"LICENCE", std::string(report_chart_licence())},
                                 {"VERSION", escape_html(origin.version)},
                                 {"SOURCES", escape_html(joined(report.sources))},
                                 {"JUDGES", judges_html(origin.rows)},
                                 {"STYLE", std::string(report_style())},
                                 {"DATA", escape_json_for_script(json)},
                                 {"CHARTS", std::string(report_chart_library())},
                                 {"SCRIPT", std::string(report_script())}});
}

}  // namespace prm_score
