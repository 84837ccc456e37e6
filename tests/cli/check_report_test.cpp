#include "prm_score/cli/check_report.h"

#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

ComparedRow moved_row(int64_t line, const std::string& id_json, double difference) {
  ComparedRow row{.line = line, .file = {}, .id_json = id_json, .differences = {}};
  row.differences.push_back({"chunk 0", "0.5", "0.75", difference, 1e-4});
  return row;
}

CheckResult result_of(std::vector<ComparedRow> rows) {
  CheckResult result{.golden = "g.jsonl", .tolerance = {.atol = 1e-4, .rtol = 0}, .comparison = {}, .causes = {}};
  for (const ComparedRow& row : rows) result.comparison.num_moved += row.differences.empty() ? 0 : 1;
  result.comparison.rows = std::move(rows);
  return result;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

using Lines = std::vector<std::string>;

TEST(CheckReport, OfTheSameIsOneLine) {
  auto result = result_of({ComparedRow{}, ComparedRow{}});
  EXPECT_EQ(format_check_report(result),
            "same: 2 rows, no difference of numbers; allowed is 0.0001, or 0 x the golden's if more\n");
  result.comparison.largest = 3.14159e-6;
  result.comparison.place_of_largest = "line 4, chunk 2";
  EXPECT_EQ(
      format_check_report(result),
      "same: 2 rows, largest difference 3.1e-06 (line 4, chunk 2); allowed is 0.0001, or 0 x the golden's if more\n");
}

TEST(CheckReport, OfRowsWithoutADifferenceOfNumbersSaysWhatDiffers) {
  std::vector<ComparedRow> rows(7);
  rows[1].differences = {{"line", "2", "3"}, {"id", "b", "c"}};
  rows[2].differences = {{"row", "line 3", "none"}, {"id", "c", "d"}};
  EXPECT_EQ(check_summary(result_of(rows)),
            "moved: 2 of 7 rows, in line, id, row; allowed is 0.0001, or 0 x the golden's if more");
  rows[3].differences = {{"error", "x", "y"}, {"warnings", "a", "b"}};
  EXPECT_EQ(check_summary(result_of(rows)),
            "moved: 3 of 7 rows, in line, id, row, error, ..; allowed is 0.0001, or 0 x the golden's if more");
}

TEST(CheckReport, OfWhatMovedIsAnAlignedTableAndCauses) {
  auto result = result_of({moved_row(3, "\"\u6771\u4eac\"", 0.25), ComparedRow{}, moved_row(20, "\"longer\"", 0.125)});
  result.comparison.rows[1] = {.line = 17, .file = {}, .id_json = {}, .differences = {{"row", "line 17", "none"}}};
  result.comparison.num_moved = 3;
  result.comparison.largest = 0.25;
  result.comparison.place_of_largest = "line 3, chunk 0";
  result.causes = {"dtype: x", "options: y"};
  result.comparison.num_ids_missing = 2;
  constexpr char kSummary[] =
      "moved: 3 of 3 rows, largest difference 0.25 (line 3, chunk 0); allowed is 0.0001, or 0 x the golden's if more";
  EXPECT_EQ(lines_of(format_check_report(result)),
            (Lines{kSummary, "line  id        what     golden   now   difference  allowed",
                   "17              row      line 17  none",
                   "3     \"\u6771\u4eac\"      chunk 0  0.5      0.75  0.25        0.0001",
                   "20    \"longer\"  chunk 0  0.5      0.75  0.12        0.0001", "likely cause: dtype: x",
                   "likely cause: options: y",
                   "not compared: ids of 2 rows, which g.jsonl does not have (check --update writes them)"}));
}

TEST(CheckReport, ShowsTheTenWorstRows) {
  std::vector<ComparedRow> rows;
  for (int64_t line = 1; line <= 14; ++line) rows.push_back(moved_row(line, "", static_cast<double>(line)));
  const auto lines = lines_of(format_check_report(result_of(rows)));
  ASSERT_EQ(lines.size(), 13U);
  EXPECT_TRUE(lines[2].starts_with("14 ")) << lines[2];
  EXPECT_TRUE(lines[11].starts_with("5 ")) << lines[11];
  EXPECT_EQ(lines[12], ".. and 4 more");
}

TEST(CheckReport, SpellsOutControlCharactersAndShortensLongTexts) {
  const std::string id = "\"\x1b[2J\x7f\xc2\x9b" + std::string(1000, 'x') + "\"";
  auto result = result_of({moved_row(1, id, 1)});
  result.comparison.rows[0].differences[0].golden = result.comparison.rows[0].differences[0].now = id;
  result.causes = {"options: \x1b[0m"};
  result.golden = "g\n";
  result.comparison.num_ids_missing = 1;
  const std::string report = format_check_report(result);
  EXPECT_EQ(report.find('\x1b'), std::string::npos);
  EXPECT_EQ(report.find("\xc2\x9b"), std::string::npos);
  EXPECT_NE(report.find("\\x1b[2J\\x7f\\x9b"), std::string::npos) << report;
  EXPECT_LT(report.size(), 500U);
  EXPECT_EQ(lines_of(report).size(), 5U);
}

}  // namespace
}  // namespace prm_score
