// code_point_set.h - a set of Unicode code points, as split patterns write them: \p{L}, \s, [^\r\n], ...
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "prm_score/text/unicode.h"

namespace prm_score {

class CodePointSet {
 public:
  CodePointSet() = default;

  // All code points from `first` to `last`, both included; first <= last <= kMaxCodePoint.
  [[nodiscard]] static CodePointSet range(char32_t first, char32_t last);
  [[nodiscard]] static CodePointSet single(char32_t code_point) { return range(code_point, code_point); }
  [[nodiscard]] static CodePointSet all() { return range(0, kMaxCodePoint); }

  // \s and \w of the reference's regex engine.
  [[nodiscard]] static CodePointSet white_space();
  [[nodiscard]] static CodePointSet word();

  // Code points of a general category ("Lu") or a group of them ("L"); nullopt if there is none of that name.
  [[nodiscard]] static std::optional<CodePointSet> general_category(std::string_view name);

  [[nodiscard]] CodePointSet complement() const;
  void insert(const CodePointSet& other);
  [[nodiscard]] bool contains(char32_t code_point) const;

  // Ascending: bounds()[0] is the first code point that is in the set, bounds()[1] the next that is not, and so on.
  [[nodiscard]] const std::vector<char32_t>& bounds() const { return bounds_; }

  bool operator==(const CodePointSet&) const = default;

 private:
  std::vector<char32_t> bounds_;
};

}  // namespace prm_score
