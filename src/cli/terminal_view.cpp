#include "prm_score/cli/terminal_view.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <string_view>

#include "prm_score/cli/messages.h"

namespace prm_score {
namespace {

constexpr std::string_view kReset = "\x1b[0m";

// Text on a colour from `begin` of the log-odds on. The pair of blue and orange is one that the common kinds of colour
// blindness tell apart; text keeps a contrast of 4.5 and more.
struct Shade {
  float begin;
  const char* code;
  const char* legend;
};
constexpr Shade kShades[] = {
    {-1e38F, "\x1b[48;5;130;38;5;231m", " below -4 "}, {-4, "\x1b[48;5;215;38;5;16m", " -4 to -2 "},
    {-2, "\x1b[48;5;223;38;5;16m", " -2 to -0.5 "},    {-0.5F, "\x1b[48;5;254;38;5;16m", " undecided "},
    {0.5F, "\x1b[48;5;153;38;5;16m", " 0.5 to 2 "},    {2, "\x1b[48;5;75;38;5;16m", " 2 to 4 "},
    {4, "\x1b[48;5;25;38;5;231m", " above 4 "}};

const Shade& shade_of(float log_odds) {
  const Shade* found = std::begin(kShades);
  for (const Shade& shade : kShades) {
    if (log_odds >= shade.begin) found = &shade;
  }
  return *found;
}

std::string formatted(const char* format, double number) {
  std::array<char, 64> text = {};
  std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

// One line of a text, tabs as they are.
std::string shown(std::string_view line) {
  std::string text;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find('\t', begin), line.size());
    text += printable(line.substr(begin, end - begin));
    if (end < line.size()) text += '\t';
    begin = end + 1;
  }
  return text;
}

// Of the chunks [first, end) that have one.
std::optional<float> mean_of(const DocumentReward& reward, int64_t first, int64_t end) {
  double sum = 0;
  int count = 0;
  for (int64_t chunk = first; chunk < end; ++chunk) {
    const auto& log_odds = reward.log_odds[static_cast<size_t>(chunk)];
    if (!log_odds) continue;
    sum += *log_odds;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return static_cast<float>(sum / count);
}

std::string head_of(const RowOrigin& origin, const DocumentReward& reward) {
  std::string head = "line " + std::to_string(origin.line);
  if (!origin.file.empty()) head = origin.file + ":" + std::to_string(origin.line);
  if (!origin.id_json.empty()) head += "  " + origin.id_json;
  if (!reward.error.empty()) return head + "  error: " + reward.error;
  head += formatted("  reward %.3f", *reward.reward) + "  " + std::to_string(reward.num_tokens) + " tokens, " +
          std::to_string(reward.num_chunks) + (reward.num_chunks == 1 ? " chunk" : " chunks");
  for (const std::string_view name : names_of(reward.warnings)) head.append(", ").append(name);
  return head;
}

void add_piece(std::string_view text, std::optional<float> log_odds, bool color, std::string& view) {
  std::string margin = log_odds ? formatted("%+8.2f | ", *log_odds) : " skipped | ";
  const char* code = color && log_odds ? shade_of(*log_odds).code : nullptr;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = shown(text.substr(begin, end - begin));
    view += margin;
    view += code != nullptr && !line.empty() ? code + line + std::string(kReset) : line;
    view += '\n';
    margin = "         | ";
    begin = end + 1;
    if (begin == text.size()) break;  // the line feed at the end made a line
  }
}

}  // namespace

std::string format_for_terminal(const RowOrigin& origin, const DocumentReward& reward, const ShadedText& text,
                                bool color) {
  std::string view = printable(head_of(origin, reward)) + "\n";
  if (!reward.error.empty()) return view;
  if (!text.why_not.empty()) view += printable(text.why_not) + "\n";
  if (text.overlaps) view += "the windows overlap: a piece stands behind the mean of those that it is in\n";
  std::string cut_character;  // is in two chunks; here it begins the second
  for (const TextPiece& piece : text.pieces) {
    const bool is_cut_character = !text.overlaps && piece.end_chunk - piece.first_chunk > 1;
    if (is_cut_character && &piece != &text.pieces.back()) {
      cut_character += piece.text;
      continue;
    }
    add_piece(cut_character + piece.text, mean_of(reward, piece.first_chunk, piece.end_chunk), color, view);
    cut_character.clear();
  }
  if (text.num_left_out > 0) view += "         | .. (" + std::to_string(text.num_left_out) + " characters more)\n";
  return view;
}

std::string color_legend() {
  std::string legend = "log-odds ";
  for (const Shade& shade : kShades) legend += shade.code + std::string(shade.legend) + std::string(kReset);
  return legend + "\n";
}

}  // namespace prm_score
