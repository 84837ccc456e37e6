#include "prm_score/cli/bad_rows.h"

#include <algorithm>
#include <initializer_list>

#include "prm_score/io/json_line.h"

namespace prm_score {
namespace {

bool is_missing(std::string_view field, std::string_view error) {
  return error.starts_with(field) && error.substr(field.size()).starts_with(": missing field ");
}

// Of a whole row, or of either text of a pair.
bool has_no_chunk(std::string_view error) {
  for (const std::string_view text : {"text", "chosen", "rejected"}) {
    if (error.starts_with(text) && error.substr(text.size()).starts_with(": no chunk left ")) return true;
  }
  return false;
}

std::string expected_texts(const Options& options) {
  if (options.command == Command::kPairs) {
    return "expected pairs with the fields " + to_json_string(options.pair_fields.chosen) + " and " +
           to_json_string(options.pair_fields.rejected) + "; documents are for prm-score alone";
  }
  return "expected documents with the field " + to_json_string(options.fields.text) +
         " (--text-field); pairs are for prm-score pairs, rows for prm-score report";
}

std::string left_out_chunks(const PromptOptions& prompt) {
  std::string text = "no text has more chunks than are left out by";
  if (prompt.first_chunk == FirstChunk::kSkip) text += " --first-chunk skip";
  if (prompt.last_chunk == LastChunk::kDrop) {
    text += std::string(prompt.first_chunk == FirstChunk::kSkip ? " and" : "") + " --last-chunk drop";
  }
  return text;
}

}  // namespace

BadRows::Kind BadRows::kind_of(std::string_view error) const {
  const bool has_pairs = options_.command == Command::kPairs;
  const PairFields& pair = options_.pair_fields;
  if (has_pairs ? is_missing(pair.chosen, error) || is_missing(pair.rejected, error)
                : is_missing(options_.fields.text, error)) {
    return kNoText;
  }
  if (options_.fields.context && is_missing(*options_.fields.context, error)) return kNoContext;
  if (has_no_chunk(error)) return kNoChunk;
  if (error.starts_with("line: longer than ")) return kLongLine;
  if (error.starts_with("not JSON: ") || error.starts_with("line: expected an object")) return kNoObject;
  return kOther;
}

void BadRows::add(std::string_view error) {
  if (error.empty()) return;
  const Kind kind = kind_of(error);
  if (kind == kOther && num_rows_[kOther] == 0) other_ = error;
  ++num_rows_[kind];
}

std::string BadRows::hint(bool begins_as_array) const {
  const auto most = std::ranges::max_element(num_rows_);
  if (*most == 0) return "";
  switch (static_cast<Kind>(most - num_rows_.begin())) {
    case kNoContext:
      return "expected the field " + to_json_string(*options_.fields.context) +
             " (--context-field) in every line, \"\" where there is no context";
    case kNoChunk:
      return left_out_chunks(options_.prompt);
    case kLongLine:
      return "lines are longer than " + std::to_string(options_.max_line_bytes) + " bytes (--max-line-bytes)";
    case kNoObject:
      return begins_as_array ? "expected an object per line, found an array of JSON: jq -c '.[]' makes lines of it"
                             : "expected JSON lines, an object each";
    case kOther:
      return "the first error is: " + other_;
    case kNoText:
    case kNumKinds:
      break;
  }
  return expected_texts(options_);
}

}  // namespace prm_score
