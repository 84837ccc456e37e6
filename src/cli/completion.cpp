#include "prm_score/cli/completion.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "prm_score/cli/command_table.h"

namespace prm_score {
namespace {

constexpr std::string_view kMadeFrom = "# Completion of prm-score. Made from the tables of its commands and options.\n";

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const auto& word : words) {
    if (!text.empty()) text += between;
    text += word;
  }
  return text;
}

// A text as one word of a shell; `quote_inside` is how a quote is written within quotes.
std::string quoted(std::string_view text, std::string_view quote_inside) {
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') {
      word += quote_inside;
    } else {
      word += c;
    }
  }
  return word + "'";
}

// The words behind the program that name a command.
std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const auto& command : command_table()) {
    if (*command.name != '\0') names.emplace_back(command.name);
  }
  return names;
}

// `--name`, and `-n` if there is one, of the options that `is_wanted` picks.
template <typename Predicate>
std::vector<std::string> flags_of(Predicate is_wanted) {
  std::vector<std::string> flags;
  for (const auto& option : option_table()) {
    if (!is_wanted(option)) continue;
    flags.push_back(std::string("--") + option.name);
    if (*option.short_name != '\0') flags.push_back(std::string("-") + option.short_name);
  }
  return flags;
}

std::vector<std::string> flags_of_command(const CommandSpec& command) {
  auto flags = flags_of([&](const OptionSpec& option) { return (option.commands & command.bit) != 0; });
  flags.emplace_back("--help");
  if (command.command == Command::kScore) flags.emplace_back("--version");
  return flags;
}

// ---- bash

// Which command the words before the cursor name, whether a file stands there, and the option whose value is wanted.
constexpr std::string_view kBashBegin = R"(_prm_score() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} front= command= option= has_file= i
  local -r with_value=' @WITH_VALUE@ ' commands='@COMMANDS@'
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      -*)
        if [[ ${COMP_WORDS[i + 1]} == '=' ]]; then
          i=$((i + 2))
        elif [[ $with_value == *" ${COMP_WORDS[i]} "* ]]; then
          i=$((i + 1))
        fi
        ;;
      *)
        if [[ -z $command$has_file && " $commands " == *" ${COMP_WORDS[i]} "* ]]; then
          command=${COMP_WORDS[i]}
        else
          has_file=1
        fi
        ;;
    esac
  done
  if [[ $word == '=' ]]; then
    word='' option=$before
  elif [[ $before == '=' ]]; then
    option=${COMP_WORDS[COMP_CWORD - 2]}
  elif [[ $word == --*=* ]]; then
    option=${word%%=*} word=${word#*=} front=$option=
  elif [[ $with_value == *" $before "* ]]; then
    option=$before
  fi
  case $option in
)";

constexpr std::string_view kBashEnd = R"(  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    return
  fi
  if [[ -z $command$has_file ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
    [[ ${#COMPREPLY[@]} -eq 0 ]] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
  fi
  [[ -z $takes_files ]] || compopt -o default
}
complete -F _prm_score prm-score
)";

std::string replaced(std::string_view text, std::string_view placeholder, const std::string& value) {
  std::string result(text);
  result.replace(result.find(placeholder), placeholder.size(), value);
  return result;
}

std::string bash_value_case(const OptionSpec& option) {
  const std::string short_name = *option.short_name == '\0' ? "" : std::string(" | -") + option.short_name;
  const std::string head = std::string("    --") + option.name + short_name + ") ";
  switch (value_kind(option)) {
    case ValueKind::kFlag:
      return head + "mapfile -t COMPREPLY < <(compgen -P \"$front\" -W 'true false' -- \"$word\") ;;\n";
    case ValueKind::kWords:
      return head + "mapfile -t COMPREPLY < <(compgen -P \"$front\" -W '" + joined(value_words(option), " ") +
             "' -- \"$word\") ;;\n";
    case ValueKind::kFile:
      return head + "compopt -o default ;;\n";
    case ValueKind::kFolder:
      return head + "compopt -o dirnames ;;\n";
    case ValueKind::kOther:
      break;
  }
  return "";
}

// ---- zsh

// Text inside the brackets or between the colons of an argument of _arguments.
std::string zsh_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view("[]:\\").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// `name`: as _arguments has it, with what stands between it and a value: "--name=", "-n+".
std::string zsh_argument(const OptionSpec& option, const std::string& name, unsigned command) {
  const std::string help = "[" + zsh_escaped(option.help_in(command)) + "]";
  const std::string value = ":" + zsh_escaped(option.value_name) + ":";
  const auto kind = value_kind(option);
  const std::string argument = kind == ValueKind::kFlag ? name + help
                               : kind == ValueKind::kWords
                                   ? name + help + value + "(" + joined(value_words(option), " ") + ")"
                               : kind == ValueKind::kFile   ? name + help + value + "_files"
                               : kind == ValueKind::kFolder ? name + help + value + "_files -/"
                                                            : name + help + value;
  return quoted(argument, "'\\''");
}

constexpr std::string_view kZshBegin = R"(
_prm_score() {
  local -a commands arguments
  commands=(
@COMMANDS@  )
  local word command=
  for word in ${words[2,CURRENT-1]}; do
    if (( ${+commands[(r)$word:*]} )); then
      command=$word
      break
    fi
  done
  case $command in
)";

constexpr std::string_view kZshEnd = R"(  esac
  _arguments -S $arguments
}

_prm_score_words() {
  _alternative 'commands:command:{_describe command commands}' 'files:file:_files'
}

_prm_score "$@"
)";

std::string zsh_case(const CommandSpec& command) {
  std::string text = std::string("    '") + command.name + "')\n      arguments=(\n";
  for (const auto& option : option_table()) {
    if ((option.commands & command.bit) == 0) continue;
    const bool is_flag = value_kind(option) == ValueKind::kFlag;
    text +=
        "        " + zsh_argument(option, std::string("--") + option.name + (is_flag ? "" : "="), command.bit) + "\n";
    if (*option.short_name == '\0') continue;
    text += "        " +
            zsh_argument(option, std::string("-") + option.short_name + (is_flag ? "" : "+"), command.bit) + "\n";
  }
  text += "        '--help[Print the help and exit]'\n";
  if (command.command == Command::kScore) {
    text += "        '--version[Print the versions and exit]'\n        '*: :_prm_score_words'\n";
  } else {
    text += "        '1: :'\n";
    if (*command.files_help != '\0') text += "        '*:file:_files'\n";
  }
  return text + "      )\n      ;;\n";
}

// ---- fish

// How scoring, which has no word of its own, is called among the commands.
constexpr char kScoring[] = "score";

constexpr std::string_view kFishBegin = R"(
function __prm_score_is --description 'Whether the command line is that of one of these commands'
    set -l command score
    for word in (commandline -opc)[2..-1]
        if contains -- $word @COMMANDS@
            set command $word
            break
        end
    end
    contains -- $command $argv
end

)";

std::string fish_line(const std::string& condition, const std::string& rest, std::string_view help) {
  return "complete -c prm-score -n '__prm_score_is " + condition + "' " + rest + " -d " + quoted(help, "\\'") + "\n";
}

// A line for the commands that say the same of it.
std::string fish_option(const OptionSpec& option) {
  const auto kind = value_kind(option);
  const std::string value = kind == ValueKind::kFlag     ? ""
                            : kind == ValueKind::kWords  ? " -x -a '" + joined(value_words(option), " ") + "'"
                            : kind == ValueKind::kFile   ? " -r -F"
                            : kind == ValueKind::kFolder ? " -x -a '(__fish_complete_directories)'"
                                                         : " -x";
  const std::string short_name = *option.short_name == '\0' ? "" : std::string("-s ") + option.short_name + " ";
  std::string lines;
  for (const unsigned commands : {option.commands & ~option.other_help.commands, option.other_help.commands}) {
    std::vector<std::string> owners;
    for (const auto& command : command_table()) {
      if ((commands & command.bit) != 0) owners.emplace_back(*command.name == '\0' ? kScoring : command.name);
    }
    if (owners.empty()) continue;
    lines += fish_line(joined(owners, " "), short_name + "-l " + option.name + value, option.help_in(commands));
  }
  return lines;
}

}  // namespace

ValueKind value_kind(const OptionSpec& spec) {
  const std::string_view name = spec.value_name;
  if (name.empty()) return ValueKind::kFlag;
  if (name.find('|') != std::string_view::npos) return ValueKind::kWords;
  if (name.starts_with("FILE") || name == "CONFIG") return ValueKind::kFile;
  return name.starts_with("PATH") ? ValueKind::kFolder : ValueKind::kOther;
}

std::vector<std::string> value_words(const OptionSpec& spec) {
  std::vector<std::string> words;
  const std::string_view name = spec.value_name;
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('|', begin), name.size());
    const std::string word(name.substr(begin, end - begin));
    const bool has_placeholder = std::ranges::any_of(word, [](unsigned char c) { return std::isupper(c) != 0; });
    if (!has_placeholder) words.push_back(word);
    begin = end + 1;
  }
  return words;
}

std::string bash_completion() {
  const auto with_value = flags_of([](const OptionSpec& o) { return value_kind(o) != ValueKind::kFlag; });
  std::string script(kMadeFrom);
  script += replaced(replaced(kBashBegin, "@WITH_VALUE@", joined(with_value, " ")), "@COMMANDS@",
                     joined(command_names(), " "));
  for (const auto& option : option_table()) script += bash_value_case(option);
  script += "  esac\n  [[ -z $option ]] || return\n  local options= takes_files=\n  case $command in\n";
  for (const auto& command : command_table()) {
    script += std::string("    '") + command.name + "') options='" + joined(flags_of_command(command), " ") + "'";
    script += *command.files_help == '\0' ? " ;;\n" : " takes_files=1 ;;\n";
  }
  return script + "  esac\n" + std::string(kBashEnd);
}

std::string zsh_completion() {
  std::string commands;
  for (const auto& command : command_table()) {
    if (*command.name == '\0') continue;
    commands += "    " + quoted(std::string(command.name) + ":" + zsh_escaped(command.help), "'\\''") + "\n";
  }
  std::string script = "#compdef prm-score\n" + std::string(kMadeFrom) + replaced(kZshBegin, "@COMMANDS@", commands);
  for (const auto& command : command_table()) script += zsh_case(command);
  return script + std::string(kZshEnd);
}

std::string fish_completion() {
  std::string script(kMadeFrom);
  script += replaced(kFishBegin, "@COMMANDS@", joined(command_names(), " "));
  for (const auto& command : command_table()) {
    const bool is_scoring = command.command == Command::kScore;
    if (!is_scoring) script += fish_line(kScoring, std::string("-a ") + command.name, command.help);
    if (*command.files_help == '\0') {
      script += std::string("complete -c prm-score -n '__prm_score_is ") + command.name + "' -f\n";
    }
  }
  for (const auto& option : option_table()) script += fish_option(option);
  script += "complete -c prm-score -l help -d 'Print the help and exit'\n";
  return script + fish_line(kScoring, "-l version", "Print the versions and exit");
}

}  // namespace prm_score
