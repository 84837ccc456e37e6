// messages.h - what the program says on standard error.
#pragma once

#include <string>
#include <string_view>

namespace prm_score {

// `text` with its control characters spelt out (\\x1b): names of files and tensors are strangers' text, and terminals
// obey it.
[[nodiscard]] std::string printable(std::string_view text);

// spdlog to standard error, `prm-score: ..`; of `level` (trace, debug, info, warn, error, off) and above.
void set_up_logging(const std::string& level);

// The one line that says why the program ends, whatever the log level: `prm-score: {message}`.
void print_error(std::string_view message);

}  // namespace prm_score
