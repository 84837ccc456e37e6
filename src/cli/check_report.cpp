#include "prm_score/cli/check_report.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "prm_score/cli/messages.h"
#include "prm_score/text/counted.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

constexpr size_t kMaxRows = 10;
constexpr size_t kMaxCellCharacters = 24;

using TableRow = std::array<std::string, 7>;

// Two digits say how large a difference is.
std::string rounded(double number) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof(digits), number, std::chars_format::general, 2).ptr};
}

// "0.0001" for 1e-4, as the table has it.
std::string plain(double number) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof(digits), number, std::chars_format::general).ptr};
}

// Where the first `num_characters` of `text` end; all of it if there are no more.
size_t end_of_characters(std::string_view text, size_t num_characters) {
  size_t offset = 0;
  while (num_characters-- > 0 && offset < text.size()) offset += decode_code_point(text, offset).num_bytes;
  return offset;
}

size_t num_characters(std::string_view text) {
  size_t count = 0;
  for (size_t offset = 0; offset < text.size(); ++count) offset += decode_code_point(text, offset).num_bytes;
  return count;
}

std::string cell(std::string_view text) {
  const std::string shown = printable(text);
  const size_t end = end_of_characters(shown, kMaxCellCharacters);
  return end == shown.size() ? shown : shown.substr(0, end) + "..";
}

TableRow table_row(const ComparedRow& row) {
  const Difference& worst = row.differences.front();
  return {cell(row.place()),
          cell(row.id_json),
          worst.what,
          cell(worst.golden),
          cell(worst.now),
          worst.difference ? rounded(*worst.difference) : "",
          worst.allowed ? rounded(*worst.allowed) : ""};
}

std::string format_table(const std::vector<TableRow>& rows) {
  std::array<size_t, std::tuple_size_v<TableRow>> widths{};
  for (const TableRow& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], num_characters(row[i]));
  }
  std::string text;
  for (const TableRow& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - num_characters(row[i]) + 2, ' ');
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string format_moved(const CheckResult& result) {
  std::vector<TableRow> rows = {{"line", "id", "what", "golden", "now", "difference", "allowed"}};
  const auto worst = result.comparison.worst(kMaxRows);
  for (const ComparedRow* row : worst) rows.push_back(table_row(*row));
  std::string text = format_table(rows);
  const int64_t num_left_out = result.comparison.num_moved - std::ssize(worst);
  if (num_left_out > 0) text += ".. and " + std::to_string(num_left_out) + " more\n";
  for (const std::string& cause : result.causes) text += "likely cause: " + printable(cause) + "\n";
  return text;
}

std::string format_tolerance(const Tolerance& tolerance) {
  if (tolerance.atol == 0 && tolerance.rtol == 0) return "nothing is allowed";
  return "allowed is " + plain(tolerance.atol) + ", or " + plain(tolerance.rtol) + " x the golden's if more";
}

// What the rows differ in where no number does: "row, ids".
std::string kinds_of(const RowComparison& comparison) {
  std::vector<std::string> kinds;
  for (const ComparedRow& row : comparison.rows) {
    for (const Difference& difference : row.differences) {
      if (std::ranges::find(kinds, difference.what) == kinds.end()) kinds.push_back(difference.what);
    }
  }
  constexpr size_t kMaxKinds = 4;
  std::string text;
  for (size_t i = 0; i < std::min(kMaxKinds, kinds.size()); ++i) text += (i == 0 ? "" : ", ") + kinds[i];
  return kinds.size() > kMaxKinds ? text + ", .." : text;
}

}  // namespace

std::string check_summary(const CheckResult& result) {
  const RowComparison& comparison = result.comparison;
  const std::string num_rows = counted(std::ssize(comparison.rows), "row");
  std::string difference =
      "largest difference " + rounded(comparison.largest) + " (" + printable(comparison.place_of_largest) + ")";
  if (comparison.largest == 0) {
    difference = comparison.num_moved == 0 ? "no difference of numbers" : "in " + kinds_of(comparison);
  }
  const std::string verdict =
      comparison.num_moved == 0 ? "same: " : "moved: " + std::to_string(comparison.num_moved) + " of ";
  return verdict + num_rows + ", " + difference + "; " + format_tolerance(result.tolerance);
}

std::string format_check_report(const CheckResult& result) {
  std::string text = check_summary(result) + "\n";
  if (result.comparison.num_moved > 0) text += format_moved(result);
  if (result.comparison.num_ids_missing > 0) {
    text += "not compared: ids of " + counted(result.comparison.num_ids_missing, "row") + ", which " +
            printable(result.golden) + " does not have (check --update writes them)\n";
  }
  return text;
}

}  // namespace prm_score
