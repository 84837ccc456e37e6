// manual.h - the manual page, from what --help is made of: command_table.h and option_table.h.
#pragma once

#include <string>

namespace prm_score {

// prm-score(1) in roff, with the macros of man(7).
[[nodiscard]] std::string manual_page();

}  // namespace prm_score
