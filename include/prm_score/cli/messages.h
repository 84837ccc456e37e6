// messages.h - what the program says on standard error: messages, one below the other, and on a terminal a status line
// below them all, which makes room for each of them. Nothing of it ever ends the program: what cannot be written is
// lost.
#pragma once

#include <string>
#include <string_view>

namespace prm_score {

// `text` with its control characters spelt out (\\x1b): names of files and tensors are strangers' text, and terminals
// obey it, marks that turn the direction of writing too (\\u202e).
[[nodiscard]] std::string printable(std::string_view text);

// spdlog to standard error, `prm-score: ..`; of `level` (trace, debug, info, warn, error, off) and above.
void set_up_logging(const std::string& level);

// As `warning` of the log, if its level lets it.
void print_warning(const std::string& message);

// The one line that says why the program ends, whatever the log level: `prm-score: {message}`.
void print_error(std::string_view message);

// Draws `line` (printable ASCII, shorter than the terminal is wide) in place of the status line that is there; empty =
// only erases that one. A terminal that takes nothing at the moment (Ctrl-S) is left alone. From any thread.
void show_status_line(std::string_view line);

// Erases the status line. For signal handlers, before they end the process.
void erase_status_line_in_handler();

// Whether standard error takes a line at the moment without a wait.
[[nodiscard]] bool can_print_at_once();

}  // namespace prm_score
