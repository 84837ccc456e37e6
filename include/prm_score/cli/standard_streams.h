// standard_streams.h - descriptors 0, 1 and 2: what they are made before anything else is opened, and what they are.
#pragma once

#include <cstdint>

namespace prm_score {

// Fills those of the three that are closed (`>&-`), so that no file of ours ever gets their number, with something that
// cannot be read (0) or written (1, 2): whoever uses them gets EBADF, as if they were closed still. A closed pipe shows
// as EPIPE from here on, not as SIGPIPE.
void secure_standard_streams();

// Whether `fd` is a terminal that obeys escape sequences (TERM is set, and not to `dumb`).
[[nodiscard]] bool obeys_escapes(int fd);

// Columns of the terminal that `fd` is; 0 if it is none, or does not say.
[[nodiscard]] int64_t terminal_width(int fd);

}  // namespace prm_score
