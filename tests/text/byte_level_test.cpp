#include "prm_score/text/byte_level.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

// From GPT-2's encoder.py: space, newline, the byte 0xAD and the first and last byte that stand for themselves.
TEST(ByteLevelChar, IsThatOfGpt2) {
  EXPECT_EQ(byte_level_char(' '), U'\u0120');
  EXPECT_EQ(byte_level_char('\n'), U'\u010A');
  EXPECT_EQ(byte_level_char(0), U'\u0100');
  EXPECT_EQ(byte_level_char(0x7F), U'\u0121');
  EXPECT_EQ(byte_level_char(0xAD), U'\u0143');
  EXPECT_EQ(byte_level_char('!'), U'!');
  EXPECT_EQ(byte_level_char(0xFF), U'\u00FF');
}

TEST(ByteLevelBytes, GivesBackEveryByte) {
  std::set<char32_t> chars;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t c = byte_level_char(static_cast<unsigned char>(byte));
    chars.insert(c);
    std::string token;
    append_utf8(c, token);
    EXPECT_EQ(byte_level_bytes(token), std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(chars.size(), 256u);
}

TEST(ByteLevelBytes, KnowsWhatDoesNotSpellBytes) {
  EXPECT_EQ(byte_level_bytes(""), "");
  EXPECT_EQ(byte_level_bytes("a b"), std::nullopt);     // a space stands for no byte
  EXPECT_EQ(byte_level_bytes("\u0144"), std::nullopt);  // one behind the last stand-in
  EXPECT_EQ(byte_level_bytes("\u65E5"), std::nullopt);
}

TEST(ByteLevelDecode, TakesOtherTokensAsTheyAre) {
  EXPECT_EQ(byte_level_decode("\u0120the"), " the");
  EXPECT_EQ(byte_level_decode("a b\u0120"), "a b\u0120");
}

}  // namespace
}  // namespace prm_score
