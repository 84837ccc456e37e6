// option_table.h - every option of the program: its help, its values, and where it goes in Options.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "prm_score/cli/options.h"

namespace prm_score {

enum : unsigned {
  kForScore = 1,
  kForPrompts = 2,
  kForInfo = 4,
  kForPairs = 8,
  kForReport = 16,
  kForShow = 32,
  kForCheck = 64,
  kForMerge = 128,
  kForQuantize = 256
};  // bits of OptionSpec::commands

// What an option says of itself in some commands, where that is not what it says in the others.
struct OtherHelp {
  unsigned commands = 0;
  const char* help = "";
};

struct OptionSpec {
  const char* name;        // without the dashes
  const char* value_name;  // what --help calls its value; empty = a flag
  const char* expected;    // what a value must be: "an integer >= 1"
  const char* default_text;
  const char* help;
  const char* group;  // heading in --help
  unsigned commands;

  // Puts a value into `options`; false if it is not as `expected`. A flag takes `true` and `false`.
  bool (*set)(Options& options, std::string_view value);

  // The effective value as JSON text.
  std::string (*json)(const Options& options);

  bool changes_rows = true;     // see options_of_rows()
  const char* short_name = "";  // "o" for -o; empty = none
  OtherHelp other_help = {};

  [[nodiscard]] const char* help_in(unsigned command) const {
    return (other_help.commands & command) != 0 ? other_help.help : help;
  }
};

// In the order of --help.
[[nodiscard]] std::span<const OptionSpec> option_table();

// To be in the stride before values are put into Options; resolve_stride() then makes the chunk size of it. Throws
// UsageError for a stride above the chunk size.
inline constexpr int64_t kStrideNotGiven = 0;
void resolve_stride(ChunkOptions& chunking);

// PRM_SCORE_CHUNK_SIZE for chunk-size.
[[nodiscard]] std::string environment_name(std::string_view option_name);

}  // namespace prm_score
