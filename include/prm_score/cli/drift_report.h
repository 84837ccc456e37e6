// drift_report.h - what `prm-score check --against` prints.
//
//   int8 against float32: rewards of 400 documents
//                          all  >= 4 chunks
//   documents              400          394
//   rank correlation   0.99998      0.99998
//   ..
#pragma once

#include <string>

#include "prm_score/io/reward_drift.h"

namespace prm_score {

// Ends with LF. What comes from files is printable.
[[nodiscard]] std::string format_drift_report(const DriftResult& result);

}  // namespace prm_score
