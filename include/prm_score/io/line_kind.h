// line_kind.h - what a line of JSON looks like, for who gave a command a file of another kind.
#pragma once

#include <string>
#include <string_view>

#include "prm_score/io/json_line.h"

namespace prm_score {

enum class LineKind { kUnknown, kDocument, kPair, kRow, kPairRow, kPromptRow };

// By its fields' usual names. `line`: parsed with all fields.
[[nodiscard]] LineKind kind_of_line(const JsonLine& line);

// What such a line is and which command takes it: "a preference pair, which prm-score pairs scores"; not of kUnknown.
[[nodiscard]] std::string describe_kind(LineKind kind);

// "; it looks like a preference pair, ..", to go behind why `line` (of JSON) is not of kind `wanted`; empty if it looks
// like that, or like nothing known.
[[nodiscard]] std::string looks_like_another_kind(std::string_view line, LineKind wanted);

}  // namespace prm_score
