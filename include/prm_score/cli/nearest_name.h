// nearest_name.h - which name somebody meant who misspelt one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prm_score {

// The one of `names` that the fewest edits make of `name`: a character added, left out or replaced, or two neighbours
// swapped, each at most once in a place (optimal string alignment). None if that takes more than an edit for every
// three characters of `name`. Of equals the first. Pure, thread-safe.
[[nodiscard]] std::optional<std::string> nearest_name(std::string_view name, const std::vector<std::string>& names);

}  // namespace prm_score
