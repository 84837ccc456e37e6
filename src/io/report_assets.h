// report_assets.h - the files of src/report and the chart library, as they were when the program was built.
#pragma once

#include <string_view>

namespace prm_score {

[[nodiscard]] std::string_view report_html();           // page.html, with {{NAME}} where something is put in
[[nodiscard]] std::string_view report_style();          // page.css
[[nodiscard]] std::string_view report_script();         // the scripts, joined
[[nodiscard]] std::string_view report_chart_library();  // Chart.js, minified
[[nodiscard]] std::string_view report_chart_licence();  // chart_licence.txt

}  // namespace prm_score
