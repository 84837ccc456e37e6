#include "prm_score/text/unicode.h"

#include <array>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

// Splits into code points, U+FFFD for each maximal subpart.
std::u32string decoded(std::string_view bytes) {
  std::u32string result;
  for (size_t offset = 0; offset < bytes.size();) {
    const DecodedCodePoint next = decode_code_point(bytes, offset);
    EXPECT_EQ(next.is_valid || next.code_point == kReplacementCharacter, true);
    result += next.code_point;
    offset += next.num_bytes;
  }
  return result;
}

TEST(DecodeCodePoint, FirstAndLastOfEachLength) {
  EXPECT_EQ(decoded("\x7F\u0080\u07FF\u0800\uD7FF\uE000\uFFFF\U00010000\U0010FFFF"),
            U"\x7F\u0080\u07FF\u0800\uD7FF\uE000\uFFFF\U00010000\U0010FFFF");
  EXPECT_EQ(decoded(std::string(1, '\0')), std::u32string(1, U'\0'));
}

// Tables 3-8 to 3-11 of the Unicode Standard 16.0.
TEST(DecodeCodePoint, MaximalSubpartsAsTheStandardShowsThem) {
  EXPECT_EQ(decoded("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), std::u32string(8, kReplacementCharacter) + U"A");
  EXPECT_EQ(decoded("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), std::u32string(8, kReplacementCharacter) + U"A");
  EXPECT_EQ(decoded("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            std::u32string(5, kReplacementCharacter) + U"A\uFFFD\uFFFDB");
  EXPECT_EQ(decoded("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), std::u32string(4, kReplacementCharacter) + U"A");
}

TEST(DecodeCodePoint, TextThatEndsInsideACharacterIsOneSubpart) {
  const DecodedCodePoint next = decode_code_point("\xF0\x9F\x98", 0);
  EXPECT_FALSE(next.is_valid);
  EXPECT_EQ(next.num_bytes, 3);
}

TEST(AppendUtf8, GivesBackWhatWasDecoded) {
  for (char32_t code_point = 0; code_point <= kMaxCodePoint; ++code_point) {
    if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
    std::string text;
    append_utf8(code_point, text);
    const DecodedCodePoint next = decode_code_point(text, 0);
    ASSERT_TRUE(next.is_valid && next.code_point == code_point && next.num_bytes == static_cast<int>(text.size()))
        << "U+" << std::hex << static_cast<uint32_t>(code_point);
  }
}

TEST(ReplaceInvalidUtf8, KeepsValidTextAndReplacesEachSubpart) {
  EXPECT_EQ(replace_invalid_utf8("Zürich \U0001F600"), "Zürich \U0001F600");
  EXPECT_EQ(replace_invalid_utf8("a\xE2\x82z\xFF"), "a\uFFFDz\uFFFD");
  EXPECT_EQ(replace_invalid_utf8(""), "");
}

TEST(UnicodeVersion, NamesBothVersionsAndTheirSource) {
  EXPECT_EQ(unicode_version(), "16.0, NFC 9.0 (tokenizers 0.23.3)");
}

TEST(GeneralCategory, IsThatOfUnicode16) {
  EXPECT_EQ(general_category('A'), "Lu");
  EXPECT_EQ(general_category(U'ǅ'), "Lt");
  EXPECT_EQ(general_category(0x0301), "Mn");
  EXPECT_EQ(general_category(0x1C89), "Lu");   // new in 16.0
  EXPECT_EQ(general_category(0x16EA0), "Cn");  // new in 17.0
  EXPECT_EQ(general_category(0xD800), "Cs");
  EXPECT_EQ(general_category(kMaxCodePoint), "Cn");
}

// The property White_Space, written out.
TEST(IsWhiteSpace, HoldsForTheTwentyFiveOfThem) {
  std::u32string found;
  for (char32_t code_point = 0; code_point <= kMaxCodePoint; ++code_point) {
    if (is_white_space(code_point)) found += code_point;
  }
  const std::array expected = {0x9,    0xA,    0xB,    0xC,    0xD,    0x20,   0x85,   0xA0,   0x1680,
                               0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008,
                               0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
  EXPECT_EQ(found, std::u32string(expected.begin(), expected.end()));
}

TEST(CaseVariants, LongSAndKelvinSignAreLettersToo) {
  EXPECT_EQ(case_variants('s'), (std::vector<char32_t>{'s', 'S', 0x17F}));
  EXPECT_EQ(case_variants('K'), (std::vector<char32_t>{'k', 'K', 0x212A}));
  EXPECT_EQ(case_variants('t'), (std::vector<char32_t>{'t', 'T'}));
  EXPECT_EQ(case_variants('\''), (std::vector<char32_t>{'\''}));
}

}  // namespace
}  // namespace prm_score
