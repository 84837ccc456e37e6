#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

#include "command_parts.h"
#include "written_files.h"
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "prm_score/cli/commands.h"
#include "prm_score/cli/messages.h"
#include "prm_score/error.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/io/report.h"
#include "prm_score/io/report_page.h"
#include "prm_score/io/row_reader.h"
#include "prm_score/text/counted.h"

namespace prm_score {
namespace {

// Rows and documents; standard input by its name.
std::vector<std::string> inputs_of(const Options& options) {
  std::vector<std::string> inputs = options.files;
  if (inputs.empty()) inputs.emplace_back(kStandardInput);
  inputs.insert(inputs.end(), options.docs.begin(), options.docs.end());
  return inputs;
}

// Throws UsageError if input would be written over, or is asked of standard input twice; Error if the page cannot be
// written at all.
void check_files(const Options& options) {
  const auto inputs = inputs_of(options);
  if (std::ranges::count(inputs, kStandardInput) > 1) {
    throw UsageError("--docs: expected \"-\" once for rows and documents together, got it more often");
  }
  if (options.output.empty()) {
    if (isatty(STDOUT_FILENO) == 1) {
      throw UsageError("--output: expected a file name, or standard output that is no terminal, got neither");
    }
    return expect_no_loop(inputs);
  }
  expect_no_input(inputs, "--output", options.output);
  check_replaceable(options.output);
  expect_report_or_nothing("--output", options.output);
}

std::string file_name_of(const std::string& path) { return std::filesystem::path(path).filename().string(); }

// The file of documents that a row's `file` means: the one of that name or, if there is no such, the only one whose
// last part is the same; nullptr if there is none. A row that names no file means the only one.
const std::string* file_of_documents(const std::vector<std::string>& docs, const std::string& row_file) {
  if (row_file.empty()) return docs.size() == 1 ? &docs.front() : nullptr;
  if (const auto found = std::ranges::find(docs, row_file); found != docs.end()) return &*found;
  const auto is_so_called = [&](const std::string& name) { return file_name_of(name) == file_name_of(row_file); };
  if (std::ranges::count_if(docs, is_so_called) != 1) return nullptr;
  return &*std::ranges::find_if(docs, is_so_called);
}

// The places of one file, by line.
using PlacesByLine = std::multimap<int64_t, DocumentPlace>;

// Gives the builder what of one file is wanted; takes out of `wanted` what is there.
void read_texts_of_file(const Options& options, const std::string& file, PlacesByLine& wanted, ReportBuilder& builder) {
  JsonlReader reader({.lines = {.files = {file}, .max_line_bytes = options.max_line_bytes},
                      .fields = {.text = options.fields.text, .id = options.fields.id}});
  const int64_t last_line = wanted.rbegin()->first;
  while (const auto line = reader.next()) {
    const auto* document = std::get_if<Document>(&*line);
    const RowOrigin& origin = document != nullptr ? document->origin : std::get<LineError>(*line).origin;
    const auto [begin, end] = wanted.equal_range(origin.line);
    for (auto place = begin; place != end; ++place) {
      if (document != nullptr) {
        builder.set_text(place->second, document->text, origin.id_json);
      } else {
        builder.set_no_text(place->second,
                            "that line of the documents holds no text: " + std::get<LineError>(*line).reason);
      }
    }
    wanted.erase(begin, end);
    if (origin.line >= last_line) return;
  }
}

void read_texts(const Options& options, const std::vector<DocumentPlace>& places, ReportBuilder& builder) {
  std::map<std::string, PlacesByLine> wanted;
  for (const auto& place : places) {
    if (const auto* file = file_of_documents(options.docs, place.file)) {
      wanted[*file].emplace(place.line, place);
    } else {
      builder.set_no_text(place, place.file.empty() ? "the row names no file, and several files of documents were given"
                                                    : "its file is none of the files of documents that were given");
    }
  }
  for (auto& [file, lines] : wanted) {
    read_texts_of_file(options, file, lines, builder);
    for (const auto& [line, place] : lines) {
      builder.set_no_text(place, "the file of documents has no document in line " + std::to_string(line));
    }
  }
}

// Documents that have no text for reasons that differ in their numbers at most: lines, bytes.
struct Reason {
  std::string first;
  int64_t count = 0;
  bool is_only = true;
};

std::string without_digits(std::string text) {
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

void log_report(const Report& report) {
  const RunCounts& counts = report.statistics.counts();
  const auto num_shown =
      std::ranges::count_if(report.details, [](const auto& document) { return !document.text.pieces.empty(); });
  spdlog::info("{} ({} bad), {} in detail, {} of them with {} text",
               counted(counts.num_scored_rows + counts.num_bad_rows, "row"), counts.num_bad_rows,
               counted(std::ssize(report.details), "document"), num_shown, num_shown == 1 ? "its" : "their");
  std::map<std::string, Reason> reasons;
  for (const auto& document : report.details) {
    const std::string& why_not = document.text.why_not;
    if (why_not.empty()) continue;
    Reason& reason = reasons[without_digits(why_not)];
    if (reason.count++ == 0) reason.first = why_not;
    reason.is_only = reason.is_only && why_not == reason.first;
  }
  int64_t num_others = 0, num_told = 0;
  for (const auto& [kind, reason] : reasons) {
    if (num_told++ < 3) {
      spdlog::warn("{} without text{}: {}", reason.count, reason.is_only ? "" : ", for reasons such as",
                   printable(reason.first));
    } else {
      num_others += reason.count;
    }
  }
  if (num_others > 0) spdlog::warn("{} without text for other reasons, which the page says", num_others);
}

}  // namespace

int run_report(const Options& options, const StopSignals& stop) {
  check_files(options);
  // What is wrong with the documents' files shows before hours of reading.
  if (!options.docs.empty()) LineReader({.files = options.docs});
  RewardRowReader reader(
      {.files = options.files, .max_line_bytes = options.max_line_bytes, .limit = options.limit, .stop_fd = stop.fd()});
  ReportBuilder builder({.num_details = options.details, .max_text = options.max_text}, options.fields, reader.files());
  while (const auto row = reader.next()) builder.add(*row);
  const auto places = builder.choose_details();
  if (!options.docs.empty()) read_texts(options, places, builder);
  const Report report = builder.finish();
  log_report(report);
  const RowsOrigin rows = origin_of_rows(options.files);
  if (!rows.difference.empty()) {
    spdlog::warn("these rewards cannot be compared with each other: {}", printable(rows.difference));
  }
  const std::string page = format_report(report, {.version = PRM_SCORE_VERSION, .texts = options.docs, .rows = rows});
  if (!options.output.empty()) {
    replace_file(options.output, page);
    return 0;
  }
  auto output = standard_output();
  output.write(page);
  output.finish();
  return 0;
}

}  // namespace prm_score
