// document.h - plain data that flows through the program: what was read, and what is written for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace prm_score {

// Where a row comes from and what it repeats of its input, as JSON text unchanged.
struct RowOrigin {
  std::string file;             // name as given; empty unless several files are read
  int64_t line = 0;             // 1-based physical line in its file
  int64_t num_lines = 0;        // physical lines over all files up to this one; it, blank ones, other shards' included
  int64_t num_input_bytes = 0;  // of the files up to this line, see io/line_reader.h
  std::string id_json;          // JSON text of the id field; empty if the input has none
  std::string input_json;       // JSON object of the kept fields; empty if none are to be kept
  std::string subset;           // of a preference pair: which part of its data set it belongs to; empty if not said
  std::string input_sha256;     // of the input up to this line, see io/line_reader.h; empty unless asked for
};

// "4", or "a.jsonl:4" where there is a file's name.
[[nodiscard]] inline std::string place_of_line(const std::string& file, int64_t line) {
  return (file.empty() ? "" : file + ":") + std::to_string(line);
}

// One input line that can be scored. Both texts are valid UTF-8.
struct Document {
  RowOrigin origin;
  std::string text;
  std::string context;  // text of the context field: precedes `text`, is not judged; empty if there is no such field
};

// One input line that cannot be scored. `reason` starts with the place: `text: missing field "text"`.
struct LineError {
  RowOrigin origin;
  std::string reason;
};

// What became of a line of the input.
using InputLine = std::variant<Document, LineError>;

// Half-open ranges of one chunk in its document: token ids, Unicode code points, UTF-8 bytes of the given text.
struct ChunkSpan {
  int64_t token_begin = 0, token_end = 0;
  int64_t char_begin = 0, char_end = 0;
  int64_t byte_begin = 0, byte_end = 0;
};

// What a row warns of: `special_tokens`, `template_markers`, `context_cut` in its `warnings`.
struct DocumentWarnings {
  bool special_tokens = false;    // text or context holds an added token with `special: true`
  bool template_markers = false;  // text or context holds a marker of the prompt template
  bool context_cut = false;       // some chunk was shown less than everything before it

  bool any() const { return special_tokens || template_markers || context_cut; }
};

// How rows spell them, in their order.
inline constexpr std::pair<std::string_view, bool DocumentWarnings::*> kWarningNames[] = {
    {"special_tokens", &DocumentWarnings::special_tokens},
    {"template_markers", &DocumentWarnings::template_markers},
    {"context_cut", &DocumentWarnings::context_cut}};

[[nodiscard]] inline std::vector<std::string_view> names_of(const DocumentWarnings& warnings) {
  std::vector<std::string_view> names;
  for (const auto& [name, warning] : kWarningNames) {
    if (warnings.*warning) names.push_back(name);
  }
  return names;
}

// The result for one document. Either `reward` is set and `error` is empty, or the row is bad and `error` says why.
struct DocumentReward {
  std::optional<double> reward;                // mean log-odds in nats, see score/reward.h
  int64_t num_tokens = 0;                      // of the text, without context and BOS
  int64_t num_chunks = 0;                      // skipped and dropped ones too
  std::vector<std::optional<float>> log_odds;  // [num_chunks], nats; nullopt = skipped or dropped chunk
  std::vector<ChunkSpan> spans;                // [num_chunks] if asked for, else empty
  DocumentWarnings warnings;
  std::string ids_sha256;  // of the text's ids, see ids_sha256() in prompt.h; empty unless asked for
  std::string error;
};

// The result for a preference pair. Either the numbers are set and `error` is empty, or the row is bad.
struct PairReward {
  std::optional<double> reward_chosen, reward_rejected;
  std::optional<double> margin;       // reward_chosen - reward_rejected
  std::optional<double> probability;  // that the chosen one is preferred, by Bradley and Terry: sigmoid of the margin
  DocumentWarnings warnings;          // of either text
  std::string error;
};

}  // namespace prm_score
