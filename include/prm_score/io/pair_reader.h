// pair_reader.h - JSON lines to preference pairs, as RewardBench and TRL write them.
//
//   {"prompt": "..", "chosen": "..", "rejected": "..", "subset": ".."}     prompt and subset may be missing
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "prm_score/io/jsonl_reader.h"
#include "prm_score/text/document.h"

namespace prm_score {

// The context where no other field is named, and a line has it and it is not null.
inline constexpr char kUsualContextField[] = "prompt";

// Names of the input's fields; those of id and kept fields are in InputFields, whose `text` is not used. Its `context`
// is needed in every line.
struct PairFields {
  std::string chosen = "chosen";
  std::string rejected = "rejected";
  std::string subset = "subset";
};

// Both with the same origin, whose `subset` is set, and the same context.
struct PreferencePair {
  Document chosen, rejected;
};

using PairLine = std::variant<PreferencePair, LineError>;

// Reads one line. LineErrors as DocumentParser; for a text that is a list of messages with the way to flatten it.
// Pure, thread-safe.
class PairParser {
 public:
  PairParser(InputFields fields, PairFields pair_fields);

  // `origin`: file and line.
  [[nodiscard]] PairLine parse(std::string_view line, RowOrigin origin) const;

 private:
  // As why_not_string(), with the help that people with chat data need.
  [[nodiscard]] std::string why_no_text(const std::string& key, const JsonMember* field) const;

  InputFields fields_;
  PairFields pair_fields_;
  JsonMemberSelection wanted_;
  std::string flattening_;  // a command of the shell
};

// Not thread-safe.
class PairReader {
 public:
  PairReader(JsonlReaderOptions options, PairFields pair_fields);

  // nullopt at the end, at the limit, or when stopped.
  [[nodiscard]] std::optional<PairLine> next();

  [[nodiscard]] int64_t num_lines() const { return lines_.num_lines(); }  // blank ones too
  [[nodiscard]] InputSize size() const { return lines_.size(); }
  [[nodiscard]] bool begins_as_array() const { return lines_.begins_as_array(); }

 private:
  RowLineReader lines_;
  PairParser parser_;
};

}  // namespace prm_score
