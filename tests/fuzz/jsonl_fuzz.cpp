// A file of lines, compressed or not: every line that is not blank is answered once, in order.
#include <algorithm>
#include <variant>

#include "fuzz.h"

#include "prm_score/io/jsonl_reader.h"
#include "prm_score/io/row.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace prm_score;
  const std::string_view bytes = fuzz::text_of(data, size);
  const std::string file = fuzz::write_file("docs.jsonl", bytes).string();
  try {
    JsonlReader reader(
        {.lines = {.files = {file}, .max_line_bytes = 1000, .hash = true},
         .fields = {.text = "text", .id = "id", .context = "c", .keep = {"k"}, .keep_all = size % 2 == 1}});
    int64_t last = 0;
    while (const auto line = reader.next()) {
      const auto* bad = std::get_if<LineError>(&*line);
      const RowOrigin& origin = bad != nullptr ? bad->origin : std::get<Document>(*line).origin;
      fuzz::expect(origin.line > last, "lines come in order");
      last = origin.line;
      fuzz::expect(bad == nullptr || !bad->reason.empty(), "a bad line says why");
      if (bad != nullptr) fuzz::expect(format_error_row(*bad).ends_with("}\n"), "a row is a line");
    }
    const bool is_plain = !bytes.starts_with("\x1f\x8b") && !bytes.starts_with("\x28\xb5\x2f\xfd");
    const int64_t num_ends = std::count(bytes.begin(), bytes.end(), '\n');
    const int64_t num_lines = num_ends + (bytes.empty() || bytes.ends_with('\n') ? 0 : 1);
    fuzz::expect(!is_plain || reader.num_lines() == num_lines, "all lines are read");
  } catch (const Error&) {
  }
  return 0;
}
