// completion.h - completion of the command line, as scripts for shells. Made from command_table.h and option_table.h.
#pragma once

#include <string>
#include <vector>

#include "prm_score/cli/option_table.h"

namespace prm_score {

// What can stand as an option's value, as far as a shell can know.
enum class ValueKind { kFlag, kWords, kFile, kFolder, kOther };

[[nodiscard]] ValueKind value_kind(const OptionSpec& spec);

// The words of a kWords option that can be typed as they are: of `auto|cuda|cuda:N` not the last.
[[nodiscard]] std::vector<std::string> value_words(const OptionSpec& spec);

// Each a whole file, for the folders where the shell looks: bash-completion/completions/prm-score,
// zsh/site-functions/_prm-score, fish/vendor_completions.d/prm-score.fish.
[[nodiscard]] std::string bash_completion();
[[nodiscard]] std::string zsh_completion();
[[nodiscard]] std::string fish_completion();

}  // namespace prm_score
