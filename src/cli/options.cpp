#include "prm_score/cli/options.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <system_error>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "prm_score/cli/command_table.h"
#include "prm_score/cli/nearest_name.h"
#include "prm_score/cli/option_table.h"
#include "prm_score/cli/slurm_array.h"
#include "prm_score/io/json_line.h"

namespace prm_score {
namespace {

void add_files(CLI::App& app, const CommandSpec& spec, std::vector<std::string>& files) {
  if (*spec.files_help == '\0') return;
  app.add_option("FILES", files, spec.files_help)->type_name("");
}

void add_options(CLI::App& app, unsigned command_bit) {
  for (const auto& spec : option_table()) {
    if ((spec.commands & command_bit) == 0) continue;
    std::string flag = std::string("--") + spec.name;
    if (*spec.short_name != '\0') flag = std::string("-") + spec.short_name + "," + flag;
    const bool is_flag = *spec.value_name == '\0';
    // Constant, or CLI11 would take it for a variable to put the value into.
    const std::string help =
        spec.help_in(command_bit) + (is_flag ? "" : std::string(" (default: ") + spec.default_text + ")");
    auto* option = is_flag ? app.add_flag(flag, help) : app.add_option(flag, help)->type_name(spec.value_name);
    option->group(spec.group)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)->allow_extra_args(false);
  }
}

UsageError wrong_value(const std::string& place, const OptionSpec& spec, const std::string& found) {
  return UsageError(place + ": expected " + spec.expected + ", got " + found);
}

// What CLI11 takes apart: words to flags, values and files. What the values mean is the table's business.
class CommandLine {
 public:
  explicit CommandLine(const std::string& version) : app_(spec_of(Command::kScore).help, "prm-score") {
    app_.get_formatter()->column_width(40);
    app_.set_version_flag("--version", version, "Print the versions of prm-score and libtorch and exit");
    app_.require_subcommand(0, 1);
    app_.footer(std::string(environment_note()) + "\n\n" + std::string(exit_codes_note()));
    for (const auto& spec : command_table()) {
      CLI::App& app = spec.command == Command::kScore ? app_ : *app_.add_subcommand(spec.name, spec.help);
      add_files(app, spec, files_[spec.command]);
      add_options(app, spec.bit);
    }
  }

  // Text to print instead of going on, if any.
  std::optional<std::string> parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      return app_.help();
    } catch (const CLI::CallForVersion& version) {
      return std::string(version.what()) + "\n";
    } catch (const CLI::ExtrasError&) {
      throw unexpected_word(app_.remaining(true).front());
    } catch (const CLI::ParseError& error) {
      throw usage_error(error.what());
    }
    check_place_of_words();
    return std::nullopt;
  }

  [[nodiscard]] Command command() const {
    for (const auto& spec : command_table()) {
      if (spec.command != Command::kScore && app_.got_subcommand(spec.name)) return spec.command;
    }
    return Command::kScore;
  }

  [[nodiscard]] const std::vector<std::string>& files() const { return files_.at(command()); }

  // The last value given for an option; nullopt if none was.
  [[nodiscard]] std::optional<std::string> value(const OptionSpec& spec) const {
    for (const auto* app : {&selected(), &app_}) {
      const auto* option = app->get_option_no_throw(std::string("--") + spec.name);
      if (option != nullptr && option->count() > 0) return option->results().back();
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] const CLI::App& selected() const {
    const auto subcommands = app_.get_subcommands();
    return subcommands.empty() ? app_ : *subcommands.front();
  }

  // Options of the subcommand may stand before it, but neither others nor files.
  void check_place_of_words() const {
    const auto& command_spec = spec_of(command());
    if (command_spec.command == Command::kScore) return;
    if (const auto& before = files_.at(Command::kScore); !before.empty()) {
      throw UsageError(to_json_string(before.front()) + ": expected files behind the subcommand " + command_spec.name +
                       ", got one before it (a file of that name is ./" + command_spec.name + ")");
    }
    for (const auto& spec : option_table()) {
      if ((spec.commands & command_spec.bit) == 0 && value(spec)) {
        throw UsageError(std::string("--") + spec.name + ": expected an option of " + command_spec.name +
                         ", got one that it does not have");
      }
    }
  }

  [[nodiscard]] UsageError unexpected_word(const std::string& word) const {
    const std::string program =
        std::string("prm-score") + (command() == Command::kScore ? "" : " ") + spec_of(command()).name;
    const bool is_flag = word.starts_with('-');
    return UsageError(to_json_string(word) + ": expected " + (is_flag ? "an option" : "only options") + " of " +
                      program + " (see --help), got " + (is_flag ? "an unknown one" : "a word") +
                      (is_flag ? nearest_option(word) : way_to_name_documents()));
  }

  [[nodiscard]] std::string way_to_name_documents() const {
    return command() == Command::kInfo ? "; documents to plan for are named by --plan" : "";
  }

  // "; the nearest is --model" if one is near.
  [[nodiscard]] std::string nearest_option(std::string_view word) const {
    std::vector<std::string> known = {"help", "version"};
    for (const auto& spec : option_table()) {
      if ((spec.commands & spec_of(command()).bit) != 0) known.emplace_back(spec.name);
    }
    word.remove_prefix(std::min(word.find_first_not_of('-'), word.size()));
    const auto nearest = nearest_name(word.substr(0, word.find('=')), known);
    return nearest ? "; the nearest is --" + *nearest : "";
  }

  // CLI11's message begins with the flag; all that is left to go wrong is a value that is missing.
  [[nodiscard]] static UsageError usage_error(std::string message) {
    for (const auto& spec : option_table()) {
      const std::string flag = std::string("--") + spec.name;
      if (message.starts_with(flag + ":")) return wrong_value(flag, spec, "none");
    }
    std::replace(message.begin(), message.end(), '\n', ' ');
    return UsageError(message);
  }

  CLI::App app_;
  std::map<Command, std::vector<std::string>> files_;  // the words at each command's place
};

void set_option(Options& options, const OptionSpec& spec, const CommandLine& command_line) {
  if (const auto value = command_line.value(spec)) {
    if (!spec.set(options, *value)) throw wrong_value(std::string("--") + spec.name, spec, to_json_string(*value));
    return;
  }
  const auto variable = environment_name(spec.name);
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr || *value == '\0') return;
  if (!spec.set(options, value)) throw wrong_value(variable, spec, to_json_string(value));
}

// Of every variable of the environment that means an option by its beginning, and is none's.
std::vector<std::string> warnings_of_variables() {
  // PRM_SCORE_TEST_: of the tests; PRM_SCORE_TORCH_DIR: of the build.
  constexpr std::string_view kPrefix = "PRM_SCORE_", kPrefixOfTests = "PRM_SCORE_TEST_",
                             kOfBuild = "PRM_SCORE_TORCH_DIR";
  std::vector<std::string> known;  // behind the prefix, which all have in common
  for (const auto& spec : option_table()) known.push_back(environment_name(spec.name).substr(kPrefix.size()));
  std::vector<std::string> warnings;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string_view name = text.substr(0, text.find('='));
    if (!name.starts_with(kPrefix) || name.starts_with(kPrefixOfTests) || name == kOfBuild) continue;
    const std::string_view ending = name.substr(kPrefix.size());
    if (std::find(known.begin(), known.end(), ending) != known.end()) continue;
    std::string warning(name);
    warning += ": expected a variable of an option (see --help), found that no option has this name";
    if (const auto nearest = nearest_name(ending, known))
      warning += "; the nearest is " + std::string(kPrefix) + *nearest;
    warnings.push_back(std::move(warning));
  }
  return warnings;
}

// Of a first word that is no file, and may have been meant as a subcommand.
std::optional<std::string> warning_of_first_word(const Options& options) {
  if (options.command != Command::kScore || options.files.empty()) return std::nullopt;
  const std::string& word = options.files.front();
  std::error_code ignored;
  if (std::filesystem::exists(word, ignored)) return std::nullopt;
  std::vector<std::string> commands;
  for (const auto& spec : command_table()) {
    if (spec.command != Command::kScore) commands.emplace_back(spec.name);
  }
  const auto nearest = nearest_name(word, commands);
  if (!nearest) return std::nullopt;
  return to_json_string(word) + ": expected a file or a subcommand, found neither; the nearest subcommand is " +
         *nearest;
}

void check_output(const Options& options) {
  if (options.output == "-") {
    throw UsageError("--output: expected a file name (without the option it is standard output), got \"-\"");
  }
  if (options.resume && options.output.empty()) throw UsageError("--resume: expected --output with it, got none");
  if (options.overwrite && options.output.empty()) throw UsageError("--overwrite: expected --output with it, got none");
  if (options.resume && options.overwrite) {
    throw UsageError("--resume and --overwrite: expected one of them, got both");
  }
}

// What --shard auto comes to, and whether there is such a shard.
void resolve_shard(Options& options) {
  if (options.is_shard_auto) {
    const Shard shard = shard_of_slurm_task(options.num_shards);
    options.shard = shard.number;
    options.num_shards = shard.num_shards;
  }
  if (options.shard && !options.num_shards) {
    throw UsageError("--shard: expected --num-shards with it, got none");
  }
  if (options.num_shards && !options.shard) {
    throw UsageError("--num-shards: expected --shard with it, got none");
  }
  if (options.shard && *options.shard >= *options.num_shards) {
    const std::string last = std::to_string(*options.num_shards - 1);
    throw UsageError(
        "--shard: expected a number from 0 to " + last + " (--num-shards is " + std::to_string(*options.num_shards) +
        "), got " + std::to_string(*options.shard) +
        (options.is_shard_auto ? ", this task's; shards count from 0, as tasks of --array=0-" + last : ""));
  }
}

// The option that names a field of the input, and the field.
struct NamedField {
  const char* flag;
  std::string name;
};

// A field that is judged, and its own context or the other text of its pair at once: a mistake that would give numbers.
void expect_other_fields(const NamedField& field, const std::vector<NamedField>& others) {
  for (const NamedField& other : others) {
    if (other.name != field.name) continue;
    throw UsageError(std::string(field.flag) + " and " + other.flag + ": expected different fields, got " +
                     to_json_string(field.name) + " for both");
  }
}

void check_fields(const Options& options) {
  const auto& context = options.fields.context;
  if (options.command == Command::kPairs) {
    const NamedField chosen = {"--chosen-field", options.pair_fields.chosen};
    const NamedField rejected = {"--rejected-field", options.pair_fields.rejected};
    const NamedField subset = {"--subset-field", options.pair_fields.subset};
    const NamedField prompt = {"--context-field", context.value_or(kUsualContextField)};
    expect_other_fields(chosen, {rejected, subset, prompt});
    expect_other_fields(rejected, {subset, prompt});
  } else if (context) {
    expect_other_fields({"--text-field", options.fields.text}, {{"--context-field", *context}});
  }
}

void check_golden(const Options& options) {
  const bool has_golden_option = !options.golden.empty() || !options.junit.empty() || options.update || options.exact ||
                                 options.atol || options.rtol;
  if (!options.against.empty()) {
    if (!has_golden_option) return;
    throw UsageError("--against: expected no --golden, --update, --junit, --atol, --rtol or --exact with it, got one");
  }
  if (!options.metadata.empty()) {
    throw UsageError("--metadata: expected --against with it, got none (a golden has its own beside it)");
  }
  if (options.golden.empty()) throw UsageError("--golden: expected a file name, or --against, got none");
  for (const auto& [flag, name] : {std::pair("--golden", &options.golden), std::pair("--junit", &options.junit)}) {
    if (*name == "-") throw UsageError(std::string(flag) + ": expected a file name, got \"-\"");
  }
  const bool has_tolerance = options.atol || options.rtol;
  if (options.exact && has_tolerance) {
    throw UsageError("--exact: expected no --atol and no --rtol with it, got one");
  }
  if (options.update && (options.exact || has_tolerance || !options.junit.empty())) {
    throw UsageError("--update: expected no --atol, --rtol, --exact or --junit with it (nothing is compared), got one");
  }
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv, const std::string& version) {
  CommandLine command_line(version);
  ParsedCommandLine parsed;
  parsed.text = command_line.parse(argc, argv);
  if (parsed.text) return parsed;
  Options& options = parsed.options;
  options.command = command_line.command();
  options.files = command_line.files();
  options.prompt.chunking.stride = kStrideNotGiven;
  for (const auto& spec : option_table()) {
    if ((spec.commands & spec_of(options.command).bit) != 0) set_option(options, spec, command_line);
  }
  parsed.warnings = warnings_of_variables();
  if (auto warning = warning_of_first_word(options)) parsed.warnings.push_back(std::move(*warning));
  resolve_stride(options.prompt.chunking);
  resolve_shard(options);
  check_output(options);
  check_fields(options);
  if (options.command == Command::kCheck) check_golden(options);
  return parsed;
}

std::vector<std::pair<std::string, std::string>> effective_options(const Options& options) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const auto& spec : option_table()) {
    if ((spec.commands & spec_of(options.command).bit) != 0) values.emplace_back(spec.name, spec.json(options));
  }
  return values;
}

std::vector<std::pair<std::string, std::string>> options_of_rows(const Options& options) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const auto& spec : option_table()) {
    if ((spec.commands & spec_of(options.command).bit) != 0 && spec.changes_rows) {
      values.emplace_back(spec.name, spec.json(options));
    }
  }
  return values;
}

}  // namespace prm_score
