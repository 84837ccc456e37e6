#include "prm_score/io/line_kind.h"

#include <algorithm>
#include <initializer_list>

namespace prm_score {
namespace {

bool has_all(const JsonLine& line, std::initializer_list<std::string_view> names) {
  return std::ranges::all_of(names, [&](std::string_view name) { return line.find(name) != nullptr; });
}

}  // namespace

LineKind kind_of_line(const JsonLine& line) {
  if (has_all(line, {"line", "reward", "num_chunks"}) || has_all(line, {"line", "reward", "error"})) {
    return LineKind::kRow;
  }
  if (has_all(line, {"line", "reward_chosen", "reward_rejected"})) return LineKind::kPairRow;
  if (has_all(line, {"line", "chunk", "input_ids"})) return LineKind::kPromptRow;
  if (has_all(line, {"chosen", "rejected"})) return LineKind::kPair;
  const auto* text = line.find("text");
  return text != nullptr && text->kind == JsonKind::kString ? LineKind::kDocument : LineKind::kUnknown;
}

std::string describe_kind(LineKind kind) {
  switch (kind) {
    case LineKind::kDocument:
      return "a document, which prm-score scores (report takes it by --docs, check as its FILES)";
    case LineKind::kPair:
      return "a preference pair, which prm-score pairs scores";
    case LineKind::kRow:
      return "a row of rewards, which prm-score report shows (check takes it by --golden)";
    case LineKind::kPairRow:
      return "a row of prm-score pairs";
    case LineKind::kPromptRow:
      return "a row of prm-score prompts";
    case LineKind::kUnknown:
      break;
  }
  return "";
}

std::string looks_like_another_kind(std::string_view line, LineKind wanted) {
  const LineKind kind = kind_of_line(parse_json_line(line, {.keys = {}, .all = true}));
  if (kind == LineKind::kUnknown || kind == wanted) return "";
  return "; it looks like " + describe_kind(kind);
}

}  // namespace prm_score
