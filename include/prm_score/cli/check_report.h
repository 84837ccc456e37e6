// check_report.h - what `prm-score check` prints.
//
//   moved: 2 of 16 rows, largest difference 0.44 (line 5, chunk 0); allowed is 0.0001, or 0.0001 x the golden's if more
//   line  id       what     golden      now         difference  allowed
//   5     "arabic"  chunk 0  -0.4372518  0.0013      0.44        0.0001
//   ..
//   likely cause: options: --chunk-size: 64 there, 32 now
#pragma once

#include <string>
#include <vector>

#include "prm_score/io/row_comparison.h"

namespace prm_score {

struct CheckResult {
  std::string golden;  // its file's name
  Tolerance tolerance;
  RowComparison comparison;
  std::vector<std::string> causes;
};

// Without LF: "same: 16 rows, ..".
[[nodiscard]] std::string check_summary(const CheckResult& result);

// The worst rows, ten at most, then likely causes and what could not be compared; ends with LF. What comes from files
// is printable.
[[nodiscard]] std::string format_check_report(const CheckResult& result);

}  // namespace prm_score
