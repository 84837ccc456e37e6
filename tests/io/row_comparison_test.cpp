#include "prm_score/io/row_comparison.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

constexpr Tolerance kTolerance = {.atol = 1e-4, .rtol = 1e-4};

GoldenRow row_of(int64_t line, std::vector<std::optional<double>> log_odds) {
  GoldenRow row;
  row.line = line;
  row.id_json = "\"" + std::to_string(line) + "\"";
  row.num_tokens = 70;
  row.num_chunks = std::ssize(log_odds);
  double sum = 0, count = 0;
  for (const auto& number : log_odds) {
    sum += number.value_or(0);
    count += number ? 1 : 0;
  }
  row.reward = sum / count;
  row.log_odds = std::move(log_odds);
  row.ids_sha256 = "3f";
  return row;
}

GoldenRow bad_row(int64_t line, std::string error) {
  GoldenRow row;
  row.line = line;
  row.error = std::move(error);
  return row;
}

RowComparison compare(const std::vector<GoldenRow>& golden, const std::vector<GoldenRow>& now,
                      const Tolerance& tolerance = kTolerance) {
  return compare_rows(golden, now, tolerance);
}

// What differs when `change` is made to one row.
std::vector<std::string> whats(const std::function<void(GoldenRow&)>& change) {
  GoldenRow golden = row_of(1, {0.5, std::nullopt, 2.0});
  golden.input_json = "{}";
  golden.spans_json = "[1]";
  golden.warnings_json = "[\"context_cut\"]";
  GoldenRow now = golden;
  change(now);
  std::vector<std::string> found;
  const auto comparison = compare({golden}, {now});
  for (const Difference& difference : comparison.rows.front().differences) found.push_back(difference.what);
  EXPECT_EQ(comparison.num_moved, found.empty() ? 0 : 1);
  return found;
}

using Whats = std::vector<std::string>;

TEST(ToleranceTest, IsAbsoluteForSmallNumbersAndRelativeForLargeOnes) {
  EXPECT_EQ(kTolerance.allowed(0), 1e-4);
  EXPECT_EQ(kTolerance.allowed(-1), 1e-4);
  EXPECT_EQ(kTolerance.allowed(-20), 20 * 1e-4);
  EXPECT_EQ((Tolerance{}.allowed(7)), 0);
  EXPECT_EQ(default_tolerance("float32").atol, 1e-4);
  EXPECT_GT(default_tolerance("bfloat16").atol, 1e-2);
}

TEST(CompareRows, TheSameIsTheSame) {
  const std::vector<GoldenRow> rows = {row_of(1, {0.5, std::nullopt}), bad_row(2, "text: no tokens"), row_of(4, {-7})};
  const auto comparison = compare(rows, rows, {});
  EXPECT_EQ(comparison.num_moved, 0);
  EXPECT_EQ(comparison.rows.size(), 3U);
  EXPECT_EQ(comparison.largest, 0);
  EXPECT_TRUE(comparison.are_ids_same());
  EXPECT_TRUE(comparison.worst(10).empty());
  EXPECT_EQ(compare({}, {}).num_moved, 0);
}

TEST(CompareRows, EveryFieldCounts) {
  EXPECT_EQ(whats([](GoldenRow&) {}), Whats{});
  EXPECT_EQ(whats([](GoldenRow& row) { row.line = 2; }), Whats{"row"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.file = "x"; }), Whats{"row"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.id_json = "2"; }), Whats{"row"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.input_json = "{ }"; }), Whats{"input"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.reward = 1.26; }), Whats{"reward"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.num_tokens = 71; }), Whats{"num_tokens"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.ids_sha256 = "40"; }), Whats{"ids"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.spans_json = "[2]"; }), Whats{"spans"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.warnings_json = ""; }), Whats{"warnings"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.log_odds[2] = 2.5; }), Whats{"chunk 2"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.log_odds[1] = 0.0; }), Whats{"chunk 1"});
  EXPECT_EQ(whats([](GoldenRow& row) { row.log_odds[0] = std::nullopt; }), Whats{"chunk 0"});
  EXPECT_EQ(whats([](GoldenRow& row) { row = bad_row(1, "x"), row.id_json = "\"1\""; }), Whats{"error"});
  EXPECT_EQ(whats([](GoldenRow& row) {
              row.log_odds.pop_back();
              row.num_chunks = 2;
            }),
            Whats{"num_chunks"});
}

TEST(CompareRows, WhatOneSideDoesNotSayIsNotCompared) {
  for (const auto& forget : std::vector<std::function<void(GoldenRow&)>>{[](GoldenRow& row) { row.input_json = ""; },
                                                                         [](GoldenRow& row) { row.spans_json = ""; },
                                                                         [](GoldenRow& row) { row.ids_sha256 = ""; }}) {
    EXPECT_EQ(whats(forget), Whats{});
  }
  GoldenRow plain = row_of(1, {1});
  plain.ids_sha256 = "";
  const auto comparison = compare({plain, row_of(2, {1})}, {row_of(1, {1}), row_of(2, {1})});
  EXPECT_EQ(comparison.num_ids_missing, 1);
  EXPECT_EQ(comparison.num_ids_compared, 1);
  EXPECT_FALSE(comparison.are_ids_same());
}

TEST(CompareRows, BadRowsAreKnownByTheirErrors) {
  EXPECT_EQ(compare({bad_row(1, "x")}, {bad_row(1, "x")}).num_moved, 0);
  const auto comparison = compare({bad_row(1, "x")}, {bad_row(1, "y")});
  ASSERT_EQ(comparison.num_moved, 1);
  EXPECT_EQ(comparison.rows[0].differences[0].what, "error");
  EXPECT_EQ(comparison.rows[0].differences[0].golden, "x");
  EXPECT_EQ(comparison.rows[0].differences[0].now, "y");
}

TEST(CompareRows, RowsThatAreMissingOrTooMany) {
  const auto missing = compare({row_of(1, {1}), row_of(2, {1})}, {row_of(1, {1})});
  ASSERT_EQ(missing.num_moved, 1);
  EXPECT_EQ(missing.rows[1].place(), "2");
  EXPECT_EQ(missing.rows[1].differences[0].golden, "line 2, id \"2\"");
  EXPECT_EQ(missing.rows[1].differences[0].now, "none");
  const auto added = compare({row_of(1, {1})}, {row_of(1, {1}), row_of(2, {1})});
  ASSERT_EQ(added.num_moved, 1);
  EXPECT_EQ(added.rows[1].differences[0].golden, "none");
  const auto swapped = compare({row_of(1, {1}), row_of(2, {1})}, {row_of(2, {1}), row_of(1, {1})});
  EXPECT_EQ(swapped.num_moved, 2);
  EXPECT_FALSE(swapped.are_ids_same());  // none were looked at
}

// 2^-14 and 2^-13 are exact, so that the edge is.
TEST(CompareRows, TheEdgeOfTheToleranceIsAllowed) {
  const double edge = std::ldexp(1.0, -14);
  const double above = std::nextafter(1 + edge, 2.0);
  const Tolerance absolute = {.atol = edge, .rtol = 0}, relative = {.atol = 0, .rtol = edge};
  EXPECT_EQ(compare({row_of(1, {1})}, {row_of(1, {1 + edge})}, absolute).num_moved, 0);
  EXPECT_EQ(compare({row_of(1, {1})}, {row_of(1, {above})}, absolute).num_moved, 1);
  EXPECT_EQ(compare({row_of(1, {2})}, {row_of(1, {2 + 2 * edge})}, relative).num_moved, 0);
  EXPECT_EQ(compare({row_of(1, {2})}, {row_of(1, {2 * above})}, relative).num_moved, 1);
  EXPECT_EQ(compare({row_of(1, {1})}, {row_of(1, {std::nextafter(1.0, 2.0)})}, {}).num_moved, 1);
}

// Large log-odds that cancel leave a small reward; it may move by as much as one of them may.
TEST(CompareRows, ChunksThatKeepToTheirsHaveARewardThatDoes) {
  const auto golden = row_of(1, {900, -900, 1});
  const auto now = row_of(1, {900.08, -899.92, 1.00009});
  EXPECT_GT(*now.reward - *golden.reward, 10 * kTolerance.allowed(*golden.reward));
  EXPECT_EQ(compare({golden}, {now}).num_moved, 0);
  auto moved = golden;
  moved.reward = *golden.reward + 0.0901;  // more than any of 0.09, 0.09 and 0.0001
  EXPECT_EQ(compare({golden}, {moved}).num_moved, 1);
}

// As --last-chunk weight does: a short chunk counts for less.
TEST(CompareRows, ARewardOfWeightsKeepsToItsChunks) {
  auto golden = row_of(1, {900, 1});
  auto now = row_of(1, {900.08, 1});
  golden.reward = (64 * 900 + 2 * 1) / 66.0;
  now.reward = (64 * 900.08 + 2 * 1) / 66.0;
  EXPECT_EQ(compare({golden}, {now}).num_moved, 0);
}

TEST(CompareRows, TheLargestDifferenceIsToldAlsoIfAllowed) {
  const auto comparison =
      compare({row_of(1, {1, 1}), row_of(7, {1, 1})}, {row_of(1, {1, 1.00001}), row_of(7, {1, 1.00005})});
  EXPECT_EQ(comparison.num_moved, 0);
  EXPECT_NEAR(comparison.largest, 5e-5, 1e-12);
  EXPECT_EQ(comparison.place_of_largest, "line 7, chunk 1");
}

TEST(RowComparisonTest, TheWorstComeFirst) {
  const std::vector<GoldenRow> golden = {row_of(1, {1}), row_of(2, {100}), row_of(3, {1}), row_of(4, {1})};
  std::vector<GoldenRow> now = {row_of(1, {1.001}), row_of(2, {100.05}), row_of(3, {1.002}), row_of(4, {1})};
  now[3].ids_sha256 = "40";
  const auto comparison = compare(golden, now);
  EXPECT_EQ(comparison.num_moved, 4);
  std::vector<int64_t> lines;
  for (const ComparedRow* row : comparison.worst(10)) lines.push_back(row->line);
  EXPECT_EQ(lines, (std::vector<int64_t>{4, 3, 1, 2}));  // 0.05 is five times what 100 may, 0.001 ten times what 1 may
  EXPECT_EQ(comparison.worst(2).size(), 2U);
}

TEST(RowComparisonTest, TheWorstOfARowComesFirst) {
  auto now = row_of(1, {1.001, 5, 1.01});
  auto golden = row_of(1, {1, 5, 1});
  now.warnings_json = "[]";
  Whats found;
  const auto comparison = compare({golden}, {now});
  for (const Difference& difference : comparison.rows[0].differences) found.push_back(difference.what);
  EXPECT_EQ(found, (Whats{"warnings", "chunk 2", "chunk 0", "reward"}));
}

}  // namespace
}  // namespace prm_score
