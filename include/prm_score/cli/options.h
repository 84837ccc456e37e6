// options.h - the command line and the environment to one plain struct.
//
// Every option `--some-name` may also come from the environment variable PRM_SCORE_SOME_NAME; the command line wins, an
// empty variable counts as not set. Given twice, the last one wins.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "prm_score/io/jsonl_reader.h"
#include "prm_score/io/pair_reader.h"
#include "prm_score/text/prompt.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

enum class Command { kScore, kPrompts, kPairs, kCheck, kShow, kReport, kInfo, kMerge, kQuantize };
enum class Color { kAuto, kAlways, kNever };
enum class Progress { kAuto, kPlain, kNone };

struct Options {
  Command command = Command::kScore;
  std::vector<std::string> files;  // none = standard input

  std::string model;                     // folder or hub name; empty = the judge that ships with the program
  std::string random_weights;            // a config.json; empty = the checkpoint's weights
  std::optional<int64_t> weight_memory;  // bytes
  std::string device = "auto";
  std::string dtype = "auto";
  int threads = 0;  // 0 = as many as there are processors for this process

  InputFields fields;
  PairFields pair_fields;
  std::optional<int64_t> limit;
  bool is_shard_auto = false;                // --shard auto; `shard` is then what Slurm says
  std::optional<int64_t> shard, num_shards;  // both or none; shard < num_shards
  int64_t max_line_bytes = 256 << 20;

  PromptOptions prompt;
  std::string label_a = "A", label_b = "B";
  SpecialTokens special_tokens = SpecialTokens::kParse;
  int64_t max_batch_tokens = 0;    // 0 = what suits the device
  std::optional<bool> self_check;  // not given: on CUDA only
  bool no_prefix_sharing = false;  // the oracle path, each prompt on its own

  bool spans = false;
  bool fingerprint = false;       // print what --resume compares, score nothing
  bool json = false;              // info: for machines
  bool verify = false;            // info: read all weights
  std::string plan;               // info: documents to plan for; empty = none
  std::string metadata;           // file; empty = none
  std::string output;             // file; empty = standard output
  std::vector<std::string> docs;  // report: files of documents
  int64_t details = 200;          // report: documents in detail
  int64_t max_text = 20'000;      // report, show: characters of a document's text
  Color color = Color::kAuto;     // show
  bool resume = false;
  bool overwrite = false;
  std::optional<int64_t> max_errors;
  bool errors_ok = false;
  Progress progress = Progress::kAuto;
  std::string log_level = "info";

  // Of check.
  std::string against;               // dtype to compare with; empty = none, a golden instead
  std::string golden;                // file
  std::string junit;                 // file; empty = none
  bool update = false;               // write the golden
  bool exact = false;                // no tolerance
  std::optional<double> atol, rtol;  // not given: what suits the dtype
};

// Wrong usage: the flag or variable, what was expected and what was found, in one line. Ends the program with 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Either the program is to go on with `options`, or to print `text` to standard output and end with 0 (--help,
// --version).
struct ParsedCommandLine {
  Options options;
  std::optional<std::string> text;
  std::vector<std::string> warnings;  // of variables and words that are near a known name
};

// Throws UsageError. `version` is what --version prints.
[[nodiscard]] ParsedCommandLine parse_command_line(int argc, const char* const* argv, const std::string& version);

// Name and effective value (as JSON text) of every option of the command, for the metadata.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> effective_options(const Options& options);

// Those of them that change a byte of the rows: not where and how fast they are computed. The model, and the dtype,
// which depends on the device, are not among them.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> options_of_rows(const Options& options);

}  // namespace prm_score
