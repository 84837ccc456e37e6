// Rows, one a line, then after a line "--" a document's text: what is read is what would be written, and a report of it
// is a page that no text leaves its place in.
#include <algorithm>

#include "fuzz.h"

#include "prm_score/io/report_page.h"
#include "prm_score/io/row.h"
#include "prm_score/io/row_reader.h"
#include "prm_score/text/unicode.h"

namespace {

using namespace prm_score;

void read_rows(std::string_view bytes, ReportBuilder& builder) {
  while (!bytes.empty()) {
    const std::string_view line = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(std::min(bytes.size(), line.size() + 1));
    try {
      const RewardRow row = parse_reward_row(line);
      const std::string written = format_row(row.origin, row.reward);
      const RewardRow again = parse_reward_row(written);
      fuzz::expect(format_row(again.origin, again.reward) == written, "a row is read as it was written");
      builder.add(row);
    } catch (const Error&) {
    }
  }
}

void check_page(const std::string& page) {
  constexpr std::string_view kBegin = "id=\"data\">";
  const size_t begin = page.find(kBegin) + kBegin.size();
  const size_t end = page.find("</script>", begin);
  fuzz::expect(end != std::string::npos, "the data ends");
  const std::string_view data = std::string_view(page).substr(begin, end - begin);
  fuzz::expect(data.find_first_of("<>&") == std::string_view::npos, "the data holds no markup");
  fuzz::expect(data.ends_with('}'), "the data is whole");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text_of(data, size);
  const size_t cut = bytes.find("\n--\n");
  ReportBuilder builder({.num_details = 3, .max_text = 20, .num_rows = 4, .num_columns = 2, .max_value = 5}, {},
                        {"rows"});
  read_rows(bytes.substr(0, cut), builder);
  const std::string text =
      cut == std::string_view::npos ? "" : replace_invalid_utf8(bytes.substr(cut + 4));  // as a Document has it
  for (const auto& place : builder.choose_details()) builder.set_text(place, text, "");
  const Report report = builder.finish();
  for (const auto& document : report.details) {
    std::string shown;
    for (const auto& piece : document.text.pieces) {
      fuzz::expect(piece.first_chunk < piece.end_chunk, "a piece is of some chunk");
      fuzz::expect(piece.end_chunk <= std::ssize(document.spans), "chunks are those of the row");
      shown += piece.text;
    }
    fuzz::expect(shown.empty() || document.row.origin.input_json.empty(), "the table's rows are without their input");
  }
  if (!report.table.empty()) check_page(format_report(report, {}));  // the page is large, and takes its time
  return 0;
}
