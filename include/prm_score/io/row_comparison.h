// row_comparison.h - rows of a golden against rows of now.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/io/golden_file.h"

namespace prm_score {

// How far numbers may be from the golden's; all zero: not at all.
struct Tolerance {
  double atol = 0, rtol = 0;

  // For a number that the golden has as `golden`: atol, or rtol * |golden| if that is more.
  [[nodiscard]] double allowed(double golden) const;
};

// float32: 1e-4, 1e-4, what the log-odds of every path keep to. bfloat16, or any other name: 0.1, 0.02. It has 8 bits,
// so a log-odds of 5 may be rounded by 0.02 at its very end; the shipped judge's move by up to 0.007 from one CPU type
// to another, and by 0.03 when each prompt is computed on its own.
[[nodiscard]] Tolerance default_tolerance(std::string_view dtype);

// One thing that is not the golden's.
struct Difference {
  std::string what;  // "row", "error", "num_tokens", "num_chunks", "ids", "spans", "input", "warnings", "chunk 2",
                     // "reward"
  std::string golden, now;                                                  // as the rows have it
  std::optional<double> difference = std::nullopt, allowed = std::nullopt;  // of two numbers

  // What a table has first: what is no number, then how many times what is allowed.
  [[nodiscard]] bool is_worse_than(const Difference& other) const;
};

struct ComparedRow {
  int64_t line = 0;
  std::string file, id_json;            // of the golden's row, or of now's if the golden has none at this place
  std::vector<Difference> differences;  // the worst first; empty: the same

  // "4", or "a.jsonl:4".
  [[nodiscard]] std::string place() const;
};

struct RowComparison {
  std::vector<ComparedRow> rows;  // in order
  int64_t num_moved = 0;
  int64_t num_ids_compared = 0, num_ids_missing = 0;  // good rows in both, with and without the hash of their ids
  bool have_ids_moved = false;                        // or num_tokens
  double largest = 0;                                 // difference of two numbers, allowed ones too
  std::string place_of_largest;                       // "line 4, chunk 2"; empty if there is none

  // Of all rows, as far as is known.
  [[nodiscard]] bool are_ids_same() const { return num_ids_compared > 0 && num_ids_missing == 0 && !have_ids_moved; }

  // Those that moved, the worst first, `max_rows` at most.
  [[nodiscard]] std::vector<const ComparedRow*> worst(size_t max_rows) const;
};

// Row by row, as they stand: a row at another place, with another line, file or id, is a difference ("row") and its
// numbers are not looked at. A bad row is the same as one with the same error. `spans`, `input` and the hash of the ids
// are compared where both rows have them. A reward may differ by the mean of what its chunks may. Pure.
[[nodiscard]] RowComparison compare_rows(std::span<const GoldenRow> golden, std::span<const GoldenRow> now,
                                         const Tolerance& tolerance);

// "0.5": the shortest digits that read back as the same number.
[[nodiscard]] std::string shortest(double number);

}  // namespace prm_score
