#include "prm_score/cli/command_table.h"

#include <algorithm>
#include <cassert>

#include "prm_score/cli/option_table.h"

namespace prm_score {
namespace {

constexpr char kLines[] = "JSON lines to read, in this order; none or - = standard input";
constexpr char kNoFiles[] = "";

constexpr CommandSpec kCommands[] = {
    {Command::kScore, kForScore, "",
     "Scores documents with a chunk-judging preference model: JSON lines in, one row per line out.", kLines},
    {Command::kPrompts, kForPrompts, "prompts", "Writes the prompt of each chunk instead of scoring it.", kLines},
    {Command::kPairs, kForPairs, "pairs",
     "Scores preference pairs (chosen, rejected) and says how often the chosen text gets the larger reward, in a "
     "message "
     "and in --metadata.",
     kLines},
    {Command::kCheck, kForCheck, "check",
     "Scores documents and compares what comes with a golden: 0 the same, 1 moved, 4 could not run.", kLines},
    {Command::kShow, kForShow, "show",
     "Shows documents in the terminal, every chunk behind its log-odds and shaded by it.", kLines},
    {Command::kReport, kForReport, "report",
     "Makes one HTML file of rows that were scored: rewards, lengths, positions, the best and the worst documents.",
     "rows to read, in this order; none or - = standard input"},
    {Command::kMerge, kForMerge, "merge",
     "Puts the rows of all shards (--shard) into one file, in the order of the input: that of one run, byte for byte.",
     "the --output files of all shards, in any order"},
    {Command::kQuantize, kForQuantize, "quantize",
     "Makes a folder of a checkpoint whose linear layers are 8-bit integers already: it loads at once, and its rewards "
     "are those of --dtype int8, to the bit.",
     "the folder to make"},
    {Command::kInfo, kForInfo, "info", "Says what a checkpoint is and what memory it needs.", kNoFiles}};

constexpr std::string_view kEnvironmentNote =
    "Every option --some-name may also come from the environment variable PRM_SCORE_SOME_NAME; the command line wins.\n"
    "A file named like a subcommand is written ./info.";

constexpr std::string_view kExitCodesNote =
    "Exit codes: 0 every row scored; 1 stopped by an error; 2 wrong usage; 3 finished, some rows are bad;\n"
    "129, 130, 143 ended by SIGHUP, SIGINT, SIGTERM; 141 the reader of the output went away.\n"
    "Of check: 0 same; 1 moved; 2 wrong usage; 4 could not run. Of check --against: 0 compared; 3 but for bad lines; "
    "2; 4.";

}  // namespace

std::span<const CommandSpec> command_table() { return kCommands; }

const CommandSpec& spec_of(Command command) {
  const auto* found = std::ranges::find(kCommands, command, &CommandSpec::command);
  assert(found != std::end(kCommands));
  return *found;
}

std::string_view environment_note() { return kEnvironmentNote; }
std::string_view exit_codes_note() { return kExitCodesNote; }

}  // namespace prm_score
