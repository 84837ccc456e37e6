// report_page.h - a report to one HTML file that needs nothing else.
//
//   <!DOCTYPE html>
//   <!-- prm-score report .. -->                     says what the file is, and the licence of the chart library
//   <meta http-equiv="Content-Security-Policy">      runs these two scripts and no other, and loads nothing
//   <style>                                          src/report/page.css
//   ..                                               src/report/page.html
//   <script type="application/json">                 the report's data; all text of rows and documents is in here
//   <script> chart library <script> src/report/*.js  builds the rest of the page from the data
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "prm_score/io/report.h"
#include "prm_score/io/rows_origin.h"

namespace prm_score {

// How the file begins, whoever's rows are in it.
inline constexpr std::string_view kReportBegin = "<!DOCTYPE html>\n<!-- prm-score report";

// What the page says of itself, beside the report.
struct ReportOrigin {
  std::string version;             // of the program
  std::vector<std::string> texts;  // files of documents
  RowsOrigin rows;
};

// The whole file. The same report gives the same bytes.
[[nodiscard]] std::string format_report(const Report& report, const ReportOrigin& origin);

// `text` for HTML, in elements and in quoted attributes: & < > " ' escaped.
[[nodiscard]] std::string escape_html(std::string_view text);

// `json` with the characters that mean something to HTML or to older JavaScript (<, >, &, U+2028, U+2029) as \u
// escapes: the same JSON, which no </script> or <!-- ends.
[[nodiscard]] std::string escape_json_for_script(std::string_view json);

}  // namespace prm_score
