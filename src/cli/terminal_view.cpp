#include "prm_score/cli/terminal_view.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "prm_score/cli/messages.h"
#include "prm_score/text/counted.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

constexpr std::string_view kMargin = "         | ";
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

// Columns that a terminal gives a character: East Asian wide ones and pictures two, marks that join the one before
// none.
int64_t columns_of(char32_t code_point) {
  constexpr std::pair<char32_t, char32_t> kWide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},
                                                     {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
                                                     {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F},
                                                     {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
  if (code_point < 0x300) return 1;
  const std::string_view category = general_category(code_point);
  if (category == "Mn" || category == "Me" || category == "Cf") return 0;
  const auto is_in = [&](const auto& range) { return range.first <= code_point && code_point <= range.second; };
  return std::ranges::any_of(kWide, is_in) ? 2 : 1;
}

// Where one row of `line`, which is valid UTF-8, ends: behind the last space that fits, or else what fits.
size_t end_of_row(std::string_view line, int64_t width) {
  constexpr int64_t kTab = 8;
  int64_t column = kMargin.size();
  size_t behind_space = 0;
  for (size_t offset = 0; offset < line.size();) {
    const auto [code_point, num_bytes, is_valid] = decode_code_point(line, offset);
    column = code_point == '\t' ? (column / kTab + 1) * kTab : column + columns_of(code_point);
    if (column > width && offset > 0) return behind_space > 0 ? behind_space : offset;
    offset += num_bytes;
    if (code_point == ' ' || code_point == '\t') behind_space = offset;
  }
  return line.size();
}

// At least one; without a width, or with one that leaves no room, the line as it is.
std::vector<std::string_view> rows_of(std::string_view line, int64_t width) {
  constexpr int64_t kLeastRoom = 8;
  if (width < static_cast<int64_t>(kMargin.size()) + kLeastRoom) return {line};
  std::vector<std::string_view> rows;
  do {
    rows.push_back(line.substr(0, end_of_row(line, width)));
    line.remove_prefix(rows.back().size());
  } while (!line.empty());
  return rows;
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
  std::string head = (origin.file.empty() ? "line " : "") + place_of_line(origin.file, origin.line);
  if (!origin.id_json.empty()) head += "  " + origin.id_json;
  if (!reward.error.empty()) return head + "  error: " + reward.error;
  head += formatted("  reward %.3f", *reward.reward) + "  " + counted(reward.num_tokens, "token") + ", " +
          counted(reward.num_chunks, "chunk");
  for (const std::string_view name : names_of(reward.warnings)) head.append(", ").append(name);
  return head;
}

void add_piece(std::string_view text, std::optional<float> log_odds, const TerminalStyle& style, std::string& view) {
  std::string margin = log_odds ? formatted("%+8.2f | ", *log_odds) : " skipped | ";
  const char* code = style.color && log_odds ? shade_of(*log_odds).code : nullptr;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = shown(text.substr(begin, end - begin));
    for (const std::string_view row : rows_of(line, style.width)) {
      view += margin;
      const bool is_shaded = code != nullptr && !row.empty();
      if (is_shaded) view += code;
      view += row;
      if (is_shaded) view += kReset;
      view += '\n';
      margin = kMargin;
    }
    begin = end + 1;
    if (begin == text.size()) break;  // the line feed at the end made a line
  }
}

}  // namespace

std::string format_for_terminal(const RowOrigin& origin, const DocumentReward& reward, const ShadedText& text,
                                const TerminalStyle& style) {
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
    add_piece(cut_character + piece.text, mean_of(reward, piece.first_chunk, piece.end_chunk), style, view);
    cut_character.clear();
  }
  if (text.num_left_out > 0) {
    view.append(kMargin).append(".. (" + counted(text.num_left_out, "character") + " more)\n");
  }
  return view;
}

std::string color_legend() {
  std::string legend = "log-odds ";
  for (const Shade& shade : kShades) legend += shade.code + std::string(shade.legend) + std::string(kReset);
  return legend + "\n";
}

}  // namespace prm_score
