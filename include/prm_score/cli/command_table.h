// command_table.h - the commands of the program: their names, their help, what they read.
#pragma once

#include <span>
#include <string_view>

#include "prm_score/cli/options.h"

namespace prm_score {

struct CommandSpec {
  Command command;
  unsigned bit;            // of OptionSpec::commands
  const char* name;        // empty for scoring, which has no word of its own
  const char* help;        // a sentence
  const char* files_help;  // what the FILES are; empty if there are none
};

// In the order of --help, scoring first.
[[nodiscard]] std::span<const CommandSpec> command_table();

[[nodiscard]] const CommandSpec& spec_of(Command command);

// What --help says below all options; lines end with LF, the last one without.
[[nodiscard]] std::string_view environment_note();
[[nodiscard]] std::string_view exit_codes_note();

}  // namespace prm_score
