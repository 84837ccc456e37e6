// written_files.h - no file that the program writes takes the place of another. Private to the cli layer.
#pragma once

#include <string>
#include <vector>

#include "prm_score/cli/options.h"

namespace prm_score {

// Whether `path` is a regular file that descriptor `fd` is open on.
[[nodiscard]] bool is_file_of(int fd, const std::string& path);

// Whether writing to both writes one file, also one that is not there yet.
[[nodiscard]] bool is_same_file(const std::string& a, const std::string& b);

// `inputs` below: names of files, "-" for standard input; none = standard input.

// Throws UsageError if what `option` writes to `file` would be written over an input.
void expect_no_input(const std::vector<std::string>& inputs, const char* option, const std::string& file);

// Throws UsageError if standard output is the file of an input: a run that reads what it writes has no end.
void expect_no_loop(const std::vector<std::string>& inputs);

// Throws UsageError if the rows or the report, on standard output, go to the file that `option` names.
void expect_no_standard_output(const char* option, const std::string& file);

// These throw Error if `file`, which `option` is to write, is there with something else in it: documents, say, or a
// checkpoint's config.json.
void expect_metadata_or_nothing(const char* option, const std::string& file);
void expect_golden_or_nothing(const char* option, const std::string& file);
void expect_xml_or_nothing(const char* option, const std::string& file);
void expect_report_or_nothing(const char* option, const std::string& file);

// Before a run that writes rows: throws UsageError if a file of --output or --metadata would be written over another,
// Error if the metadata cannot be written at all.
void check_written_files(const Options& options);

}  // namespace prm_score
