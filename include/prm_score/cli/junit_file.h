// junit_file.h - the result of `prm-score check` for CI servers, as JUnit XML.
//
//   <testsuites>
//     <testsuite name="prm-score check" tests="16" failures="1" errors="0" time="0.9">
//       <testcase classname="golden.jsonl" name="line 5, &quot;arabic&quot;">
//         <failure type="moved" message="chunk 0: -0.4372518 in the golden, 0.0013 now">..one line a
//         difference..</failure>
//       </testcase>
//       <system-out>..the report..</system-out>
//     </testsuite>
//   </testsuites>
//
// Characters that XML 1.0 does not have are spelt out as messages.h has it, or become U+FFFD.
#pragma once

#include <string>

#include "prm_score/cli/check_report.h"

namespace prm_score {

// A test case for every row.
[[nodiscard]] std::string format_junit(const CheckResult& result, double seconds);

// Of a check that could not run: one test case with an error.
[[nodiscard]] std::string format_junit_error(const std::string& golden, const std::string& message, double seconds);

}  // namespace prm_score
