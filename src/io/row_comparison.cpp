#include "prm_score/io/row_comparison.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

namespace prm_score {
namespace {

// Fixtures are named as the user stands to them: ./a.jsonl is a.jsonl. Rows are told apart by their order, too.
bool is_same_file_name(const std::string& a, const std::string& b) {
  return std::filesystem::path(a).filename() == std::filesystem::path(b).filename();
}

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

std::string describe(const GoldenRow& row) {
  std::string text = "line " + std::to_string(row.line);
  if (!row.file.empty()) text += " of " + row.file;
  if (!row.id_json.empty()) text += ", id " + row.id_json;
  return text;
}

std::string shown(const std::optional<double>& number) { return number ? shortest(*number) : "null"; }

// Compares one row of both, and keeps what it finds.
class RowComparer {
 public:
  RowComparer(const Tolerance& tolerance, RowComparison& comparison, ComparedRow& compared)
      : tolerance_(tolerance), comparison_(comparison), compared_(compared) {}

  void compare(const GoldenRow& golden, const GoldenRow& now) {
    if (golden.line != now.line || !is_same_file_name(golden.file, now.file) || golden.id_json != now.id_json) {
      add("row", describe(golden), describe(now));
      return;
    }
    if (!golden.input_json.empty() && !now.input_json.empty()) texts("input", golden.input_json, now.input_json);
    if (golden.error != now.error) {
      add("error", golden.error.empty() ? "a reward" : golden.error, now.error.empty() ? "a reward" : now.error);
    }
    if (golden.error.empty() && now.error.empty()) compare_good(golden, now);
  }

 private:
  void compare_good(const GoldenRow& golden, const GoldenRow& now) {
    compare_ids(golden, now);
    if (!golden.spans_json.empty() && !now.spans_json.empty()) texts("spans", golden.spans_json, now.spans_json);
    texts("warnings", golden.warnings_json, now.warnings_json);
    texts("num_chunks", std::to_string(golden.num_chunks), std::to_string(now.num_chunks));
    if (golden.log_odds.size() == now.log_odds.size()) compare_chunks(golden.log_odds, now.log_odds);
    numbers("reward", golden.reward, now.reward, allowed_reward(golden));
  }

  void compare_ids(const GoldenRow& golden, const GoldenRow& now) {
    const size_t num_before = compared_.differences.size();
    texts("num_tokens", std::to_string(golden.num_tokens), std::to_string(now.num_tokens));
    if (golden.ids_sha256.empty() || now.ids_sha256.empty()) {
      ++comparison_.num_ids_missing;
    } else {
      ++comparison_.num_ids_compared;
      texts("ids", golden.ids_sha256, now.ids_sha256);
    }
    comparison_.have_ids_moved |= compared_.differences.size() > num_before;
  }

  void compare_chunks(std::span<const std::optional<double>> golden, std::span<const std::optional<double>> now) {
    for (size_t i = 0; i < golden.size(); ++i) {
      numbers("chunk " + std::to_string(i), golden[i], now[i], golden[i] ? tolerance_.allowed(*golden[i]) : 0);
    }
  }

  // Chunks that all keep to theirs have a mean that keeps to this, whatever the weights.
  [[nodiscard]] double allowed_reward(const GoldenRow& golden) const {
    double largest = 0;
    for (const auto& log_odds : golden.log_odds) {
      if (log_odds) largest = std::max(largest, tolerance_.allowed(*log_odds));
    }
    return largest;
  }

  void numbers(std::string what, const std::optional<double>& golden, const std::optional<double>& now,
               double allowed) {
    if (!golden || !now) {
      if (golden.has_value() != now.has_value()) add(std::move(what), shown(golden), shown(now));
      return;
    }
    const double difference = std::abs(*now - *golden);
    if (difference > comparison_.largest) {
      comparison_.largest = difference;
      comparison_.place_of_largest = "line " + compared_.place() + ", " + what;
    }
    if (!(difference <= allowed)) {
      compared_.differences.push_back({std::move(what), shown(golden), shown(now), difference, allowed});
    }
  }

  void texts(std::string what, const std::string& golden, const std::string& now) {
    if (golden != now) add(std::move(what), or_none(golden), or_none(now));
  }

  void add(std::string what, std::string golden, std::string now) {
    compared_.differences.push_back({std::move(what), std::move(golden), std::move(now)});
  }

  const Tolerance& tolerance_;
  RowComparison& comparison_;
  ComparedRow& compared_;
};

ComparedRow start_row(const GoldenRow& row) { return {row.line, row.file, row.id_json, {}}; }

double excess(const Difference& difference) {
  if (!difference.difference) return std::numeric_limits<double>::infinity();
  return *difference.difference / std::max(difference.allowed.value_or(0), std::numeric_limits<double>::min());
}

}  // namespace

double Tolerance::allowed(double golden) const { return std::max(atol, rtol * std::abs(golden)); }

Tolerance default_tolerance(std::string_view dtype) {
  return dtype == "float32" ? Tolerance{.atol = 1e-4, .rtol = 1e-4} : Tolerance{.atol = 0.1, .rtol = 0.02};
}

bool Difference::is_worse_than(const Difference& other) const { return excess(*this) > excess(other); }

std::string ComparedRow::place() const { return place_of_line(file, line); }

std::vector<const ComparedRow*> RowComparison::worst(size_t max_rows) const {
  std::vector<const ComparedRow*> moved;
  for (const ComparedRow& row : rows) {
    if (!row.differences.empty()) moved.push_back(&row);
  }
  std::ranges::stable_sort(moved, [](const ComparedRow* a, const ComparedRow* b) {
    return a->differences.front().is_worse_than(b->differences.front());
  });
  moved.resize(std::min(moved.size(), max_rows));
  return moved;
}

RowComparison compare_rows(std::span<const GoldenRow> golden, std::span<const GoldenRow> now,
                           const Tolerance& tolerance) {
  RowComparison comparison;
  for (size_t i = 0; i < std::max(golden.size(), now.size()); ++i) {
    ComparedRow compared = start_row(i < golden.size() ? golden[i] : now[i]);
    if (i >= golden.size()) {
      compared.differences.push_back({"row", "none", describe(now[i])});
    } else if (i >= now.size()) {
      compared.differences.push_back({"row", describe(golden[i]), "none"});
    } else {
      RowComparer(tolerance, comparison, compared).compare(golden[i], now[i]);
    }
    std::ranges::stable_sort(compared.differences,
                             [](const Difference& a, const Difference& b) { return a.is_worse_than(b); });
    comparison.num_moved += compared.differences.empty() ? 0 : 1;
    comparison.rows.push_back(std::move(compared));
  }
  return comparison;
}

std::string shortest(double number) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof(digits), number).ptr};
}

}  // namespace prm_score
