#include "written_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

#include "prm_score/cli/options.h"
#include "prm_score/error.h"
#include "prm_score/io/golden_file.h"
#include "prm_score/io/line_reader.h"
#include "prm_score/io/output_file.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/io/report_page.h"
#include "prm_score/io/row_reader.h"

namespace prm_score {
namespace {

bool reads_standard_input(const std::vector<std::string>& files) {
  return files.empty() || std::ranges::find(files, kStandardInput) != files.end();
}

bool is_regular(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// Whether writing to `file` replaces something that is there.
bool has_contents(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error) || std::filesystem::file_size(file, error) == 0) return false;
  return !is_file_of(STDERR_FILENO, file);  // is added to
}

Error in_the_way(const char* option, const std::string& file, std::string_view expected) {
  return Error(std::string(option) + ": " + file + ": expected no file, or " + std::string(expected) +
               ", found something else");
}

}  // namespace

bool is_file_of(int fd, const std::string& path) {
  std::error_code not_there;
  return std::filesystem::is_regular_file(path, not_there) && is_open_as(fd, path);
}

bool is_same_file(const std::string& a, const std::string& b) {
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  return target_of(a) == target_of(b);
}

void expect_no_input(const std::vector<std::string>& inputs, const char* option, const std::string& file) {
  bool is_input = reads_standard_input(inputs) && is_file_of(STDIN_FILENO, file);
  for (const std::string& input : inputs) {
    std::error_code not_there;
    is_input |= std::filesystem::is_regular_file(input, not_there) && is_same_file(input, file);
  }
  if (is_input) throw UsageError(std::string(option) + ": expected another file than the input, got \"" + file + "\"");
}

void expect_no_loop(const std::vector<std::string>& inputs) {
  bool is_input =
      reads_standard_input(inputs) && is_regular(STDIN_FILENO) && are_open_as_one(STDIN_FILENO, STDOUT_FILENO);
  for (const std::string& input : inputs) is_input |= is_file_of(STDOUT_FILENO, input);
  if (is_input) throw UsageError("standard output: expected another file than the input, found the same");
}

void expect_no_standard_output(const char* option, const std::string& file) {
  if (!is_file_of(STDOUT_FILENO, file)) return;
  throw UsageError(std::string(option) + ": expected another file than standard output's, got \"" + file + "\"");
}

void expect_metadata_or_nothing(const char* option, const std::string& file) {
  if (!has_contents(file)) return;
  std::ifstream in(file);
  std::string line;
  constexpr std::string_view kBegin[] = {"{", "  \"versions\": {"};
  for (const std::string_view expected : kBegin) {
    if (std::getline(in, line) && line == expected) continue;
    throw in_the_way(option, file, "the metadata of an earlier run");
  }
}

void expect_golden_or_nothing(const char* option, const std::string& file) {
  if (!has_contents(file)) return;
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  bool is_golden = has_contents(golden_metadata_name(file));
  try {
    is_golden |= !parse_reward_row(line).reward.ids_sha256.empty();
  } catch (const Error&) {
    is_golden = false;
  }
  if (!is_golden) throw in_the_way(option, file, "a golden of check --update");
}

void expect_xml_or_nothing(const char* option, const std::string& file) {
  if (!has_contents(file)) return;
  std::ifstream in(file);
  constexpr std::string_view kBegin[] = {"<?xml", "<testsuites>", "  <testsuite name=\"prm-score check\""};
  std::string line;
  for (const std::string_view expected : kBegin) {
    if (!std::getline(in, line) || !line.starts_with(expected))
      throw in_the_way(option, file, "an earlier report in XML");
  }
}

void expect_report_or_nothing(const char* option, const std::string& file) {
  if (!has_contents(file)) return;
  std::string begin(kReportBegin.size(), '\0');
  std::ifstream(file).read(begin.data(), static_cast<std::streamsize>(begin.size()));
  if (begin != kReportBegin) throw in_the_way(option, file, "an earlier report");
}

void check_written_files(const Options& options) {
  const std::vector<std::string> names =
      options.output.empty() ? std::vector<std::string>() : OutputFile::names_of(options.output);
  for (const std::string& name : names) {
    expect_no_input(options.files, "--output", name);
    if (is_file_of(STDOUT_FILENO, name) || is_file_of(STDERR_FILENO, name)) {
      throw UsageError("--output: expected another file than that of standard output or error, got \"" + name + "\"");
    }
  }
  if (names.empty()) expect_no_loop(options.files);
  if (options.metadata.empty()) return;
  expect_no_input(options.files, "--metadata", options.metadata);
  for (const std::string& name : names) {
    if (is_same_file(options.metadata, name)) {
      throw UsageError("--metadata: expected another file than those of --output, got \"" + options.metadata + "\"");
    }
  }
  expect_no_standard_output("--metadata", options.metadata);
  check_replaceable(options.metadata);
  expect_metadata_or_nothing("--metadata", options.metadata);
}

}  // namespace prm_score
