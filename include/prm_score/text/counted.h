// counted.h - numbers of things in messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace prm_score {

// "1 row", "2 rows".
[[nodiscard]] inline std::string counted(int64_t number, std::string_view thing) {
  return std::to_string(number) + " " + std::string(thing) + (number == 1 ? "" : "s");
}

}  // namespace prm_score
