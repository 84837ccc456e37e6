// json_line.h - the top-level fields of one line of JSON, as slices of the line.
//
//   {"text":"a\tb", "id": 12345678901234567890123}
//    ^^^^^^ ^^^^^^   ^^^^  ^^^^^^^^^^^^^^^^^^^^^^^     keys and values are given back as they stand here, byte for byte
//
// RFC 8259, strictly: also not JSON are NaN, text after the value, lone surrogate escapes, invalid UTF-8 and a byte
// order mark. Numbers of any size and precision are JSON. Any depth of nesting is read, without recursion.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace prm_score {

enum class JsonKind { kNull, kBoolean, kNumber, kString, kArray, kObject };

// With its article: "a number", "an object".
[[nodiscard]] std::string_view json_kind_name(JsonKind kind);

struct JsonMember {
  std::string key;              // decoded
  std::string_view key_json;    // as in the line, with its quotes
  std::string_view value_json;  // as in the line
  JsonKind kind = JsonKind::kNull;
  std::string text;  // decoded value of a string, else empty
};

// Which fields are wanted; the others are checked and passed over, so they cost no memory.
struct JsonMemberSelection {
  std::vector<std::string> keys;
  bool all = false;
};

struct JsonLine {
  std::string error;                // `not JSON: <why> at byte N` (1-based); empty if the line is JSON
  JsonKind kind = JsonKind::kNull;  // of the whole line
  std::vector<JsonMember> fields;   // the wanted ones, in the order in which their keys first appear; of duplicate keys
                                    // the last value wins. Empty if the line is no object or no JSON

  // nullptr if there is none.
  [[nodiscard]] const JsonMember* find(std::string_view key) const;
};

// The slices point into `line`. `error` holds nothing of the line's text. Thread-safe.
[[nodiscard]] JsonLine parse_json_line(std::string_view line, const JsonMemberSelection& wanted);

// `text` as a JSON string, with quotes; invalid UTF-8 becomes U+FFFD.
[[nodiscard]] std::string to_json_string(std::string_view text);

}  // namespace prm_score
