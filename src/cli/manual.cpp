#include "prm_score/cli/manual.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

#include "prm_score/cli/command_table.h"
#include "prm_score/cli/option_table.h"

namespace prm_score {
namespace {

// `text` as roff shows it: dashes that can be copied, no escapes, no requests at the start of a line.
std::string roff(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (escaped.empty() || escaped.back() == '\n')) escaped += "\\&";
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }

// "Scores documents." -> "scores documents"
std::string without_full_stop(std::string text) {
  text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string program_with(const CommandSpec& command) {
  return std::string("prm-score") + (*command.name == '\0' ? "" : " ") + command.name;
}

void append_synopsis(std::string& page) {
  page += ".SH SYNOPSIS\n";
  bool is_first = true;
  for (const auto& command : command_table()) {
    if (!is_first) page += ".br\n";
    is_first = false;
    page += bold(program_with(command)) + " [" + italic("OPTIONS") + "]";
    page += *command.files_help == '\0' ? "\n" : " [" + italic("FILES") + "...]\n";
  }
}

void append_commands(std::string& page) {
  page += ".SH COMMANDS\n";
  for (const auto& command : command_table()) {
    page += ".TP\n" + bold(program_with(command)) + "\n" + roff(command.help);
    if (*command.files_help != '\0') page += " " + italic("FILES") + ": " + roff(command.files_help) + ".";
    page += "\n";
  }
}

// "prm-score and prm-score pairs"
std::string owners_of(unsigned commands) {
  std::vector<std::string> owners;
  for (const auto& command : command_table()) {
    if ((command.bit & commands) != 0) owners.push_back(bold(program_with(command)));
  }
  std::string text = owners.front();
  for (size_t i = 1; i < owners.size(); ++i) text += (i + 1 < owners.size() ? ", " : " and ") + owners[i];
  return text;
}

// " Of prm-score and prm-score pairs only."; empty for an option of all commands.
std::string owners_only(const OptionSpec& option) {
  const auto has_it = [&](const CommandSpec& command) { return (command.bit & option.commands) != 0; };
  return std::ranges::all_of(command_table(), has_it) ? "" : " Of " + owners_of(option.commands) + " only.";
}

void append_option(std::string& page, const OptionSpec& option) {
  const bool is_flag = *option.value_name == '\0';
  const std::string short_name = *option.short_name == '\0' ? "" : bold(std::string("-") + option.short_name) + ", ";
  page += ".TP\n" + short_name + bold(std::string("--") + option.name) +
          (is_flag ? "" : " " + italic(option.value_name)) + "\n";
  const std::string standard = is_flag ? "" : roff(std::string(" (default: ") + option.default_text + ")");
  page += roff(option.help) + standard + "." + owners_only(option) + "\n";
  const OtherHelp& other = option.other_help;
  if (other.commands != 0) page += "Of " + owners_of(other.commands) + ": " + roff(other.help) + standard + ".\n";
}

// Group by group, as --help has them.
void append_options(std::string& page) {
  page += ".SH OPTIONS\n.TP\n" + bold("--help") + "\nPrint the options of the command and exit.\n";
  page += ".TP\n" + bold("--version") + "\nPrint the versions of prm\\-score and libtorch and exit.\n";
  std::vector<std::string_view> groups;
  for (const auto& option : option_table()) {
    if (std::ranges::find(groups, std::string_view(option.group)) == groups.end()) groups.emplace_back(option.group);
  }
  for (const std::string_view group : groups) {
    page += ".SS " + roff(group) + "\n";
    for (const auto& option : option_table()) {
      if (option.group == group) append_option(page, option);
    }
  }
}

}  // namespace

std::string manual_page() {
  const CommandSpec& scoring = spec_of(Command::kScore);
  std::string page = ".TH PRM\\-SCORE 1 \"\" \"prm\\-score " PRM_SCORE_VERSION "\" \"User Commands\"\n";
  page += ".SH NAME\nprm\\-score \\- " + roff(without_full_stop(scoring.help)) + "\n";
  append_synopsis(page);
  append_commands(page);
  append_options(page);
  page += ".SH ENVIRONMENT\n" + roff(environment_note()) + "\n";
  page += ".SH EXIT STATUS\n" + roff(exit_codes_note()) + "\n";
  return page;
}

}  // namespace prm_score
