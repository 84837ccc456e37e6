#include "prm_score/text/split_pattern.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr std::string_view kAsciiPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

// Longer openings first, where one starts another.
constexpr std::array<std::string_view, 7> kGroupOpenings = {"(?:", "(?>", "(?=", "(?!", "(?<=", "(?<!", "(?i:"};
constexpr int kMaxGroupDepth = 100;

// Under (?i:..) Oniguruma also matches one code point with several letters: ss with U+00DF, fi with U+FB01, ...
constexpr std::array<std::string_view, 5> kFoldedPairs = {"ss", "ff", "fi", "fl", "st"};

bool is_ascii_digit(char character) { return character >= '0' && character <= '9'; }

// Recursive descent over
//   alternatives = sequence { "|" sequence }      atom  = group | class | escape | "." | "^" | "$" | literal
//   sequence     = { atom [quantifier] }          group = "(?:" alternatives ")" ...
class Parser {
 public:
  Parser(std::string_view pattern, std::string_view file_and_field)
      : pattern_(pattern), file_and_field_(file_and_field) {}

  SplitPattern parse() {
    parse_alternatives();
    if (!at_end()) fail("unbalanced )", position_);
    return std::move(result_);
  }

 private:
  enum class AtomKind { kRepeatable, kAssertion };

  void parse_alternatives();
  void parse_group();
  AtomKind parse_atom();
  void parse_quantifier();
  std::string parse_braces();
  CodePointSet parse_class();
  CodePointSet parse_class_members();
  std::optional<char32_t> parse_class_literal();
  CodePointSet parse_set_escape();
  CodePointSet parse_property(bool is_negated);
  AtomKind parse_escape();

  CodePointSet literal_set(char32_t code_point, size_t begin) const;
  void append_literal(char32_t code_point, size_t begin);
  void append_set(const CodePointSet& set);
  void append_syntax(std::string_view syntax) { result_.parts.push_back({.syntax = std::string(syntax)}); }
  void append_assertion(std::string_view opening, const CodePointSet& set);

  [[nodiscard]] bool at_end() const { return position_ == pattern_.size(); }
  [[nodiscard]] bool next_is(std::string_view text) const { return pattern_.substr(position_).starts_with(text); }
  [[nodiscard]] bool skip(std::string_view text);
  char32_t take_code_point();
  [[noreturn]] void fail(const std::string& what, size_t begin) const;
  [[noreturn]] void fail_unsupported(size_t begin) const;

  std::string_view pattern_;
  std::string_view file_and_field_;
  size_t position_ = 0;
  int group_depth_ = 0;
  bool ignores_case_ = false;
  char last_folded_ = '\0';  // the literal just before, in lower case, while case is ignored
  SplitPattern result_;
};

void Parser::fail(const std::string& what, size_t begin) const {
  throw Error(std::string(file_and_field_) + ": split pattern: " + what + " at byte " + std::to_string(begin) + " of " +
              std::string(pattern_));
}

void Parser::fail_unsupported(size_t begin) const {
  fail("expected a supported construct (split_pattern.h lists them), got " +
           std::string(pattern_.substr(begin, std::max<size_t>(position_ - begin, 1))),
       begin);
}

bool Parser::skip(std::string_view text) {
  if (!next_is(text)) return false;
  position_ += text.size();
  return true;
}

char32_t Parser::take_code_point() {
  const DecodedCodePoint decoded = decode_code_point(pattern_, position_);
  position_ += decoded.num_bytes;
  return decoded.code_point;
}

void Parser::append_set(const CodePointSet& set) {
  const auto known = std::ranges::find(result_.sets, set);
  result_.parts.push_back({.syntax = "", .set = static_cast<int>(known - result_.sets.begin())});
  if (known == result_.sets.end()) result_.sets.push_back(set);
}

void Parser::append_assertion(std::string_view opening, const CodePointSet& set) {
  append_syntax(opening);
  append_set(set);
  append_syntax(")");
}

// The set that a literal stands for, with or without regard to case.
CodePointSet Parser::literal_set(char32_t code_point, size_t begin) const {
  if (!ignores_case_) return CodePointSet::single(code_point);
  if (code_point >= 0x80) fail_unsupported(begin);
  CodePointSet set;
  for (const char32_t variant : case_variants(static_cast<char>(code_point))) set.insert(CodePointSet::single(variant));
  return set;
}

void Parser::append_literal(char32_t code_point, size_t begin) {
  append_set(literal_set(code_point, begin));
  if (!ignores_case_) {
    last_folded_ = '\0';
    return;
  }
  const auto folded = static_cast<char>(case_variants(static_cast<char>(code_point)).front());
  const std::string pair = {last_folded_, folded};
  if (std::ranges::find(kFoldedPairs, pair) != kFoldedPairs.end()) {
    fail("expected no letters under (?i:..) that one character can stand for, got " + pair, begin);
  }
  last_folded_ = folded;
}

void Parser::parse_alternatives() {
  bool can_repeat = false;
  while (!at_end() && !next_is(")")) {
    if (skip("|")) {
      append_syntax("|");
      last_folded_ = '\0';
      can_repeat = false;
    } else if (std::string_view("?*+{").find(pattern_[position_]) != std::string_view::npos) {
      if (!can_repeat) fail_unsupported(position_);
      parse_quantifier();
      can_repeat = false;  // Oniguruma reads a quantifier of a quantifier in its own way
    } else {
      can_repeat = parse_atom() == AtomKind::kRepeatable;
    }
  }
}

void Parser::parse_quantifier() {
  const size_t begin = position_;
  if (next_is("{")) {
    append_syntax(parse_braces());
    return;
  }
  ++position_;
  if (!skip("?")) static_cast<void>(skip("+"));
  append_syntax(pattern_.substr(begin, position_ - begin));
}

// {m} {m,} {,n} {m,n} {m,n}?
std::string Parser::parse_braces() {
  const size_t begin = position_++;
  const auto digits = [this] {
    const size_t first = position_;
    while (!at_end() && is_ascii_digit(pattern_[position_]) && position_ - first < 5) ++position_;
    return std::string(pattern_.substr(first, position_ - first));
  };
  const std::string least = digits();
  const bool has_comma = skip(",");
  const std::string most = has_comma ? digits() : least;
  const bool is_range = !least.empty() || !most.empty();
  if (!is_range || !skip("}") || (!most.empty() && !least.empty() && std::stoi(least) > std::stoi(most)) ||
      ignores_case_ || next_is("+") || (!has_comma && next_is("?"))) {
    fail_unsupported(begin);
  }
  const bool is_lazy = skip("?");
  return "{" + (least.empty() ? "0" : least) + (has_comma ? "," + most : "") + "}" + (is_lazy ? "?" : "");
}

Parser::AtomKind Parser::parse_atom() {
  const size_t begin = position_;
  if (next_is("\\")) return parse_escape();
  if (next_is("(")) {
    parse_group();
    const bool is_assertion = pattern_.substr(begin).starts_with("(?=") || pattern_.substr(begin).starts_with("(?!") ||
                              pattern_.substr(begin).starts_with("(?<");
    return is_assertion ? AtomKind::kAssertion : AtomKind::kRepeatable;
  }
  const auto newline = CodePointSet::single('\n');
  if (skip("^")) {  // at the start, or after a newline unless that ends the text
    append_syntax("(?:");
    append_assertion("(?<!", CodePointSet::all());
    append_syntax("|");
    append_assertion("(?<=", newline);
    append_assertion("(?=", CodePointSet::all());
    append_syntax(")");
    return AtomKind::kAssertion;
  }
  if (skip("$")) {
    append_assertion("(?!", newline.complement());
    return AtomKind::kAssertion;
  }
  if (skip("[")) {
    append_set(parse_class());
  } else if (skip(".")) {
    append_set(newline.complement());
  } else {
    append_literal(take_code_point(), begin);
    return AtomKind::kRepeatable;
  }
  last_folded_ = '\0';
  return AtomKind::kRepeatable;
}

void Parser::parse_group() {
  const size_t begin = position_;
  if (++group_depth_ > kMaxGroupDepth) fail("expected groups nested at most " + std::to_string(kMaxGroupDepth), begin);
  const auto opening = std::ranges::find_if(kGroupOpenings, [this](std::string_view text) { return next_is(text); });
  const bool is_plain = opening == kGroupOpenings.end();
  if (is_plain && (next_is("(?") || next_is("(*"))) {
    position_ += 3 < pattern_.size() - position_ ? 3 : 2;
    fail_unsupported(begin);
  }
  position_ += is_plain ? 1 : opening->size();

  const bool outer_ignores_case = ignores_case_;
  if (!is_plain && *opening == "(?i:") ignores_case_ = true;
  append_syntax(is_plain || *opening == "(?i:" ? "(?:" : *opening);  // nothing refers back to a capture
  parse_alternatives();
  if (!skip(")")) fail("expected )", position_);
  append_syntax(")");
  ignores_case_ = outer_ignores_case;
  --group_depth_;
}

Parser::AtomKind Parser::parse_escape() {
  const size_t begin = position_;
  if (skip("\\A")) {
    append_assertion("(?<!", CodePointSet::all());
    return AtomKind::kAssertion;
  }
  if (skip("\\z")) {
    append_assertion("(?!", CodePointSet::all());
    return AtomKind::kAssertion;
  }
  if (const auto literal = parse_class_literal()) {
    append_literal(*literal, begin);
  } else {
    append_set(parse_set_escape());
    last_folded_ = '\0';
  }
  return AtomKind::kRepeatable;
}

// A literal or an escape that stands for one code point; nullopt, and nothing taken, at the end and for an escape that
// stands for a set.
std::optional<char32_t> Parser::parse_class_literal() {
  const size_t begin = position_;
  if (at_end()) return std::nullopt;
  if (!next_is("\\")) return take_code_point();
  if (skip("\\r")) return '\r';
  if (skip("\\n")) return '\n';
  if (skip("\\t")) return '\t';
  const char escaped = begin + 1 < pattern_.size() ? pattern_[begin + 1] : '\0';
  if (kAsciiPunctuation.find(escaped) == std::string_view::npos) return std::nullopt;
  position_ += 2;
  return escaped;
}

CodePointSet Parser::parse_set_escape() {
  const size_t begin = position_;
  if (skip("\\s")) return CodePointSet::white_space();
  if (skip("\\S")) return CodePointSet::white_space().complement();
  if (skip("\\d")) return *CodePointSet::general_category("Nd");
  if (skip("\\D")) return CodePointSet::general_category("Nd")->complement();
  if (skip("\\w")) return CodePointSet::word();
  if (skip("\\W")) return CodePointSet::word().complement();
  if (skip("\\p{")) return parse_property(/*is_negated=*/false);
  if (skip("\\P{")) return parse_property(/*is_negated=*/true);
  position_ = std::min(begin + 2, pattern_.size());
  fail_unsupported(begin);
}

// After \p{ or \P{.
CodePointSet Parser::parse_property(bool is_negated) {
  const size_t begin = position_;
  if (skip("^")) is_negated = !is_negated;
  const size_t name_begin = position_;
  const size_t name_end = pattern_.find('}', name_begin);
  const std::string_view name = pattern_.substr(name_begin, name_end - name_begin);
  const auto set = name_end == std::string_view::npos ? std::nullopt : CodePointSet::general_category(name);
  if (!set) fail("expected the general category of Unicode, got " + std::string(name), begin);
  position_ = name_end + 1;
  if (ignores_case_) fail_unsupported(begin);
  return is_negated ? set->complement() : *set;
}

// After [.
CodePointSet Parser::parse_class() {
  const size_t begin = position_ - 1;
  const bool is_negated = skip("^");
  if (next_is("]")) fail_unsupported(begin);
  const CodePointSet set = parse_class_members();
  if (!skip("]")) fail("expected ]", position_);
  return is_negated ? set.complement() : set;
}

CodePointSet Parser::parse_class_members() {
  CodePointSet set;
  const size_t first = position_;
  while (!at_end() && !next_is("]")) {
    const size_t begin = position_;
    if (next_is("[") || next_is("&&")) fail_unsupported(begin);  // set operations and POSIX names
    if (next_is("-") && begin != first && !next_is("-]")) fail_unsupported(begin);
    const auto member = parse_class_literal();
    if (!member) {
      set.insert(parse_set_escape());
    } else if (!next_is("-") || next_is("-]")) {
      set.insert(literal_set(*member, begin));
    } else {
      ++position_;
      const auto last = parse_class_literal();
      if (!last || *last < *member || ignores_case_) fail_unsupported(begin);
      set.insert(CodePointSet::range(*member, *last));
    }
  }
  return set;
}

}  // namespace

SplitPattern parse_split_pattern(std::string_view pattern, std::string_view file_and_field) {
  return Parser(pattern, file_and_field).parse();
}

}  // namespace prm_score
