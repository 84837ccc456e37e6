// split_pattern.h - reads the split pattern of tokenizer.json, a regex in Oniguruma's syntax, into parts that do not
// depend on a regex engine's idea of Unicode: sets of code points, and the operators between them.
//
// Understood, because PCRE2 means the same by it:
//   sets          literals, . \r \n \t \s \S \d \D \w \W \p{Lu} \p{^Lu} \P{Lu} (general categories), [a-z\p{N}] [^..],
//                 backslash + ASCII punctuation
//   groups        (..) (?:..) (?>..) (?=..) (?!..) (?<=..) (?<!..), and (?i:..) around ASCII without {}
//   operators     | ? * + {m} {m,} {,n} {m,n}, lazy ?? *? +? {m,n}?, possessive ?+ *+ ++
//   anchors       ^ $ (at lines: only \n ends one), \A \z
// Anything else is an error: `{m}?` and `{m,n}+`, for instance, do not mean in Oniguruma what they mean in PCRE2.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/code_point_set.h"

namespace prm_score {

// One step of a pattern: an operator or bracket in PCRE2's syntax, or one code point out of a set.
struct PatternPart {
  static constexpr int kNoSet = -1;

  std::string syntax;  // empty for a set
  int set = kNoSet;    // index into SplitPattern::sets
};

struct SplitPattern {
  std::vector<CodePointSet> sets;  // no two are equal
  std::vector<PatternPart> parts;
};

// Throws Error if `pattern` (valid UTF-8) uses what is not understood, naming construct and byte position; the message
// starts with `file_and_field`.
[[nodiscard]] SplitPattern parse_split_pattern(std::string_view pattern, std::string_view file_and_field);

}  // namespace prm_score
