#include "prm_score/text/split_pattern.h"

#include <gtest/gtest.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

// The parts in one line, sets as <index>.
std::string shown(std::string_view pattern) {
  std::string result;
  for (const PatternPart& part : parse_split_pattern(pattern, "tokenizer.json: pre_tokenizer").parts) {
    result += part.set == PatternPart::kNoSet ? part.syntax : "<" + std::to_string(part.set) + ">";
  }
  return result;
}

std::string error_of(std::string_view pattern) {
  try {
    static_cast<void>(parse_split_pattern(pattern, "tokenizer.json: pre_tokenizer"));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ParseSplitPattern, EqualSetsAreOne) {
  EXPECT_EQ(shown("ab|a"), "<0><1>|<0>");
  EXPECT_EQ(shown(R"(\s+(?!\S)|[^\S])"), "<0>+(?!<1>)|<0>");
}

TEST(ParseSplitPattern, OperatorsAreKeptAndCapturesAreNot) {
  EXPECT_EQ(shown("(a|b)?(?:a)*(?>a)+"), "(?:<0>|<1>)?(?:<0>)*(?><0>)+");
  EXPECT_EQ(shown("a?a*?a+?a?+a*+a++"), "<0>?<0>*?<0>+?<0>?+<0>*+<0>++");
  EXPECT_EQ(shown("a{2}a{2,}a{,3}a{2,3}a{2,3}?"), "<0>{2}<0>{2,}<0>{0,3}<0>{2,3}<0>{2,3}?");
  EXPECT_EQ(shown("(?=a)(?!a)(?<=a)(?<!a)"), "(?=<0>)(?!<0>)(?<=<0>)(?<!<0>)");
}

TEST(ParseSplitPattern, ClassesAreUnionsAndComplements) {
  const SplitPattern pattern = parse_split_pattern(R"([a-c\n\-][^a-c\n\-])", "f");
  ASSERT_EQ(pattern.sets.size(), 2u);
  EXPECT_EQ(pattern.sets[0].bounds(), (std::vector<char32_t>{'\n', '\n' + 1, '-', '.', 'a', 'd'}));
  EXPECT_EQ(pattern.sets[1], pattern.sets[0].complement());
}

TEST(ParseSplitPattern, CaseIsIgnoredInItsGroupOnly) {
  const SplitPattern pattern = parse_split_pattern("(?i:(?:s)|[^s])s", "f");
  ASSERT_EQ(pattern.sets.size(), 3u);
  EXPECT_EQ(pattern.sets[0].bounds(), (std::vector<char32_t>{'S', 'T', 's', 't', 0x17F, 0x180}));
  EXPECT_EQ(pattern.sets[1], pattern.sets[0].complement());
  EXPECT_EQ(pattern.sets[2], CodePointSet::single('s'));
}

TEST(ParseSplitPattern, ErrorNamesPlaceConstructPositionAndPattern) {
  EXPECT_EQ(
      error_of(R"(ab\h+)"),
      "tokenizer.json: pre_tokenizer: split pattern: expected a supported construct (split_pattern.h lists them), "
      "got \\h at byte 2 of ab\\h+");
  EXPECT_EQ(
      error_of(R"(\p{Han})"),
      "tokenizer.json: pre_tokenizer: split pattern: expected the general category of Unicode, got Han at byte 3 of "
      "\\p{Han}");
  EXPECT_EQ(error_of("(a"), "tokenizer.json: pre_tokenizer: split pattern: expected ) at byte 2 of (a");
}

// Each means something else to PCRE2 than to the reference's engine, or is not needed, or is broken.
TEST(ParseSplitPattern, WhatIsNotUnderstoodIsAnError) {
  for (const char* pattern : {R"(\h)",
                              R"(\X)",
                              R"(\R)",
                              R"(\b)",
                              R"(\B)",
                              R"(\G)",
                              R"(\K)",
                              R"(\Z)",
                              R"(\x41)",
                              R"(\u0041)",
                              R"((a)\1)",
                              R"(\pL)",
                              R"(\p{IsL})",
                              R"(\p{L)",
                              R"(\p{})",
                              R"(\Q)",
                              R"([[:alpha:]])",
                              "[a-c&&b]",
                              "[a[b]]",
                              "[]a]",
                              "[]",
                              "[^]",
                              "[a",
                              "[a-",
                              R"([a-\s])",
                              R"([\s-a])",
                              "[a-c-e]",
                              "[c-a]",
                              R"([\h])",
                              R"(\)",
                              "a**",
                              "a{2}{3}",
                              "a{2}?",
                              "a{2}+",
                              "a{1,2}+",
                              "a{3,2}",
                              "a{100000}",
                              "a{",
                              "{2}",
                              "a{x}",
                              "a{,}",
                              "*a",
                              "a|+",
                              "(?:*)",
                              "(?=a)*",
                              "^*",
                              "$+",
                              "(?i)a",
                              "(?m:.)",
                              "(?s:.)",
                              "(?x: a)",
                              "(?-i:a)",
                              "(?<n>a)",
                              "(?P<n>a)",
                              "(?#c)",
                              "(*FAIL)",
                              "(?",
                              "(?:",
                              "a)",
                              "(?i:ss)",
                              "(?i:s(?:s))",
                              "(?i:office)",
                              "(?i:STart)",
                              "(?i:é)",
                              "(?i:[é])",
                              "(?i:[a-z])",
                              "(?i:a{2})",
                              R"((?i:\p{Lu}))"}) {
    EXPECT_NE(error_of(pattern), "") << pattern;
  }
}

TEST(ParseSplitPattern, DeepNestingIsAnErrorNotACrash) {
  EXPECT_NE(error_of(std::string(1'000'000, '(')), "");
  EXPECT_EQ(error_of(std::string(100, '(') + "a" + std::string(100, ')')), "");
}

}  // namespace
}  // namespace prm_score
