#include "prm_score/io/report.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

RewardRow scored(int64_t line, double reward) {
  RewardRow row;
  row.origin.line = line;
  row.origin.id_json = "\"d" + std::to_string(line) + "\"";
  row.reward.reward = reward;
  row.reward.num_tokens = 3;
  row.reward.num_chunks = 1;
  row.reward.log_odds = {static_cast<float>(reward)};
  row.reward.spans = {{0, 3, 0, 3, 0, 3}};
  return row;
}

RewardRow with_input(RewardRow row, const std::string& input) {
  row.origin.input_json = input;
  return row;
}

Report report_of(const std::vector<RewardRow>& rows, ReportLimits limits = {}) {
  ReportBuilder builder(limits, {}, {"rows.jsonl"});
  for (const auto& row : rows) builder.add(row);
  (void)builder.choose_details();
  return builder.finish();
}

std::vector<int64_t> lines_of(const Report& report, DetailKind kind) {
  std::vector<int64_t> lines;
  for (const auto& document : report.details) {
    if (document.kind == kind) lines.push_back(document.row.origin.line);
  }
  return lines;
}

// Line i has the reward (37 i) mod 1009, so rewards are all different and in no order.
std::vector<RewardRow> shuffled_rows() {
  std::vector<RewardRow> rows;
  for (int64_t line = 1; line <= 1008; ++line) rows.push_back(scored(line, static_cast<double>(37 * line % 1009)));
  return rows;
}

TEST(ReportBuilderTest, ShowsBestWorstAndASampleOfTheOthers) {
  const auto rows = shuffled_rows();
  const Report report = report_of(rows, {.num_details = 90});
  ASSERT_EQ(report.details.size(), 90u);
  auto ranked = rows;
  std::ranges::sort(ranked, {}, [](const RewardRow& row) { return *row.reward.reward; });
  std::vector<int64_t> worst, best;
  for (size_t i = 0; i < 30; ++i) {
    worst.push_back(ranked[i].origin.line);
    best.push_back(ranked[ranked.size() - 1 - i].origin.line);
  }
  EXPECT_EQ(lines_of(report, DetailKind::kWorst), worst);
  EXPECT_EQ(lines_of(report, DetailKind::kBest), best);
  const auto sample = lines_of(report, DetailKind::kSample);
  EXPECT_EQ(sample.size(), 30u);
  EXPECT_TRUE(std::ranges::is_sorted(sample));
  std::set<int64_t> all(sample.begin(), sample.end());
  all.insert(worst.begin(), worst.end());
  all.insert(best.begin(), best.end());
  EXPECT_EQ(all.size(), 90u);
  EXPECT_LT(sample.front(), 200) << "a sample of all rows, not of the last ones";
  EXPECT_GT(sample.back(), 800) << "a sample of all rows, not of the first ones";
}

TEST(ReportBuilderTest, TheSameRowsGiveTheSameSample) {
  const auto rows = shuffled_rows();
  EXPECT_EQ(lines_of(report_of(rows, {.num_details = 90}), DetailKind::kSample),
            lines_of(report_of(rows, {.num_details = 90}), DetailKind::kSample));
}

TEST(ReportBuilderTest, OfFewRowsAllAreShownTheBetterHalfAsBest) {
  const Report report = report_of({scored(1, 5), scored(2, -1), scored(3, 5), scored(4, 2), scored(5, 0)});
  EXPECT_EQ(lines_of(report, DetailKind::kBest), (std::vector<int64_t>{1, 3, 4}));
  EXPECT_EQ(lines_of(report, DetailKind::kWorst), (std::vector<int64_t>{2, 5}));
  EXPECT_TRUE(lines_of(report, DetailKind::kSample).empty());
  EXPECT_TRUE(report_of({scored(1, 5)}, {.num_details = 0}).details.empty());
  EXPECT_EQ(report_of({scored(1, 5), scored(2, 6)}, {.num_details = 1}).details.size(), 1u);
  EXPECT_TRUE(report_of({}).details.empty());
}

TEST(ReportBuilderTest, TheTableIsASampleWhereThereAreTooManyRows) {
  const Report report = report_of(shuffled_rows(), {.num_details = 30, .num_rows = 100});
  EXPECT_GE(report.table.size(), 100u);
  EXPECT_LE(report.table.size(), 130u);
  std::set<int64_t> numbers;
  for (const auto& row : report.table) numbers.insert(row.number);
  EXPECT_EQ(numbers.size(), report.table.size());
  for (const auto& document : report.details) EXPECT_TRUE(numbers.contains(document.row.number));
  EXPECT_TRUE(std::ranges::is_sorted(report.table, {}, &TableRow::number));
  EXPECT_EQ(report.statistics.counts().num_scored_rows, 1008);
}

TEST(ReportBuilderTest, KeptFieldsAreColumnsWithoutTextAndTheIdTwice) {
  const Report report =
      report_of({with_input(scored(1, 1), R"({"id":"d1","text":"abc","n":12345678901234567890123,"s":"a\u003cb"})"),
                 with_input(scored(2, 2), R"({"more":{"x":[1]},"s":null})")});
  EXPECT_EQ(report.columns, (std::vector<std::string>{"n", "s", "more"}));
  EXPECT_EQ(report.table[0].fields[0].text, "12345678901234567890123");
  EXPECT_TRUE(report.table[0].fields[0].is_number);
  EXPECT_EQ(report.table[0].fields[1].text, "a<b");
  EXPECT_FALSE(report.table[0].fields[1].is_number);
  EXPECT_EQ(report.table[1].fields[2].text, R"({"x":[1]})");
  EXPECT_EQ(report.table[1].fields[0].text, "");
  EXPECT_EQ(report.table[0].id, "d1");
}

TEST(ReportBuilderTest, LimitsColumnsAndValues) {
  const Report report =
      report_of({with_input(scored(1, 1), R"({"a":"12345","b":1,"c":2})")}, {.num_columns = 2, .max_value = 3});
  EXPECT_EQ(report.columns, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(report.columns_left_out, (std::vector<std::string>{"c"}));
  EXPECT_EQ(report.table[0].fields[0].text, "123\u2026");
}

TEST(ReportBuilderTest, BadRowsAreListedAndInTheTable) {
  RewardRow bad;
  bad.origin.line = 9;
  bad.reward.error = "not JSON";
  const Report report = report_of({bad, bad, bad, scored(1, 1)}, {.num_bad_rows = 2});
  EXPECT_EQ(report.bad_rows.size(), 2u);
  EXPECT_EQ(report.bad_rows[0].error, "not JSON");
  EXPECT_EQ(report.table.size(), 4u);
  EXPECT_EQ(report.details.size(), 1u);
  EXPECT_EQ(report.statistics.counts().num_bad_rows, 3);
}

TEST(ReportBuilderTest, TextsComeFromTheRowsOrFromDocuments) {
  ReportBuilder builder({}, {}, {});
  auto in_row = with_input(scored(1, 5), R"({"text":"abc"})");
  auto of_document = scored(2, 4), other_id = scored(3, 3), other_text = scored(4, 2), gone = scored(5, 1);
  auto no_spans = scored(6, 0), no_spans_and_other_id = scored(7, 0);
  no_spans.reward.spans.clear();
  no_spans_and_other_id.reward.spans.clear();
  for (const auto& row : {in_row, of_document, other_id, other_text, gone, no_spans, no_spans_and_other_id}) {
    builder.add(row);
  }
  const auto places = builder.choose_details();
  std::set<int64_t> lines;
  for (const auto& place : places) lines.insert(place.line);
  EXPECT_EQ(lines, (std::set<int64_t>{2, 3, 4, 5, 6, 7}));
  builder.set_text({"", 2}, "xyz", "\"d2\"");
  builder.set_text({"", 3}, "xyz", "\"d2\"");
  builder.set_text({"", 4}, "wxyz", "\"d4\"");
  builder.set_text({"other", 5}, "xyz", "\"d5\"");
  builder.set_no_text({"", 5}, "gone");
  builder.set_text({"", 6}, "xyz", "\"d6\"");
  builder.set_text({"", 7}, "xyz", "\"d6\"");
  const Report report = builder.finish();
  EXPECT_TRUE(report.has_texts);
  const auto text_of = [&](int64_t line) -> const ShadedText& {
    return std::ranges::find_if(report.details, [&](const auto& document) { return document.row.origin.line == line; })
        ->text;
  };
  EXPECT_EQ(text_of(1).pieces.at(0).text, "abc");
  EXPECT_EQ(text_of(2).pieces.at(0).text, "xyz");
  EXPECT_NE(text_of(3).why_not.find("another id"), std::string::npos);
  EXPECT_NE(text_of(4).why_not.find("4 bytes"), std::string::npos);
  EXPECT_EQ(text_of(5).why_not, "gone");
  EXPECT_EQ(text_of(6).why_not, "the row has no spans");
  EXPECT_NE(text_of(7).why_not.find("another id"), std::string::npos);
}

TEST(ReportBuilderTest, IdsAreTheSameByValue) {
  const auto is_shown = [](const std::string& row_id, const std::string& document_id) {
    ReportBuilder builder({}, {}, {});
    auto row = scored(1, 1);
    row.origin.id_json = row_id;
    builder.add(row);
    static_cast<void>(builder.choose_details());
    builder.set_text({"", 1}, "xyz", document_id);
    return builder.finish().has_texts;
  };
  EXPECT_TRUE(is_shown(R"("a")", R"("\u0061")"));
  EXPECT_FALSE(is_shown(R"("a")", R"("b")"));
  EXPECT_FALSE(is_shown(R"("1")", "1"));
  EXPECT_FALSE(is_shown("", R"("a")"));
  EXPECT_FALSE(is_shown(R"("")", ""));
  EXPECT_TRUE(is_shown("12345678901234567890123", "12345678901234567890123"));
  EXPECT_FALSE(is_shown("12345678901234567890123", "12345678901234567890124"));  // one double holds both
}

}  // namespace
}  // namespace prm_score
