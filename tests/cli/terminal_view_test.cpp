#include "prm_score/cli/terminal_view.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

RowOrigin origin_of(int64_t line, std::string id_json = "") {
  RowOrigin origin;
  origin.line = line;
  origin.id_json = std::move(id_json);
  return origin;
}

DocumentReward reward_of(std::vector<std::optional<float>> log_odds) {
  DocumentReward reward;
  reward.reward = 0.25;
  reward.num_tokens = 70;
  reward.num_chunks = std::ssize(log_odds);
  reward.log_odds = std::move(log_odds);
  return reward;
}

ShadedText pieces(std::vector<TextPiece> of_text) {
  ShadedText text;
  text.pieces = std::move(of_text);
  return text;
}

TEST(TerminalView, PutsEveryChunkBehindItsLogOdds) {
  const auto text = pieces({{"one\ntwo\n", 0, 1}, {" three", 1, 2}, {"four", 2, 3}});
  EXPECT_EQ(
      format_for_terminal(origin_of(3, "\"a\""), reward_of({1.756F, -12.5F, std::nullopt}), text, {.color = false}),
      "line 3  \"a\"  reward 0.250  70 tokens, 3 chunks\n"
      "   +1.76 | one\n"
      "         | two\n"
      "  -12.50 |  three\n"
      " skipped | four\n");
}

TEST(TerminalView, NamesTheFileWarningsAndWhatIsLeftOut) {
  RowOrigin origin = origin_of(1);
  origin.file = "docs.jsonl";
  DocumentReward reward = reward_of({0.0F});
  reward.warnings.template_markers = true;
  ShadedText text = pieces({{"x", 0, 1}});
  text.num_left_out = 7;
  EXPECT_EQ(format_for_terminal(origin, reward, text, {.color = false}),
            "docs.jsonl:1  reward 0.250  70 tokens, 1 chunk, template_markers\n"
            "   +0.00 | x\n"
            "         | .. (7 characters more)\n");
}

TEST(TerminalView, APieceOfSeveralWindowsHasTheirMean) {
  ShadedText text = pieces({{"x", 0, 2}, {"y", 1, 2}});
  text.overlaps = true;
  const auto view = format_for_terminal(origin_of(1), reward_of({1.0F, 2.0F}), text, {.color = false});
  EXPECT_NE(view.find("the windows overlap"), std::string::npos);
  EXPECT_NE(view.find("   +1.50 | x\n   +2.00 | y\n"), std::string::npos) << view;
}

TEST(TerminalView, ACharacterThatABorderCutsBeginsTheSecondChunk) {
  const auto text = pieces({{"x", 0, 1}, {"\xE6\x9D\xB1", 0, 2}, {"y", 1, 2}});
  const auto view = format_for_terminal(origin_of(1), reward_of({1.0F, 2.0F}), text, {.color = false});
  EXPECT_NE(view.find("   +1.00 | x\n   +2.00 | \xE6\x9D\xB1y\n"), std::string::npos) << view;
}

TEST(TerminalView, LongLinesGoOnUnderTheMargin) {
  const auto shown = [](std::string text, int64_t width) {
    const auto view = format_for_terminal(origin_of(1), reward_of({1.0F}), pieces({{std::move(text), 0, 1}}),
                                          {.color = false, .width = width});
    return view.substr(view.find('\n') + 1);
  };
  EXPECT_EQ(shown("one two three\nfour", 19), "   +1.00 | one two \n         | three\n         | four\n");
  EXPECT_EQ(shown("one  three", 20), "   +1.00 | one  \n         | three\n");
  EXPECT_EQ(shown("12345678", 19), "   +1.00 | 12345678\n");  // just fits
  EXPECT_EQ(shown("123456789", 19), "   +1.00 | 12345678\n         | 9\n");
  EXPECT_EQ(shown("\u6771\u4eac\u6771\u4eac\u6771", 19), "   +1.00 | \u6771\u4eac\u6771\u4eac\n         | \u6771\n");
  EXPECT_EQ(shown("e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", 19),
            "   +1.00 | e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301\n");
  EXPECT_EQ(shown("\t\t1", 24), "   +1.00 | \t\t\n         | 1\n");
  EXPECT_EQ(shown("a text that has no room", 18), "   +1.00 | a text that has no room\n");
  EXPECT_EQ(shown("a text on no terminal", 0), "   +1.00 | a text on no terminal\n");
}

TEST(TerminalView, ABadLineHasItsError) {
  DocumentReward reward;
  reward.error = "text: missing field \"text\"";
  EXPECT_EQ(format_for_terminal(origin_of(7, "1"), reward, {}, {.color = true}),
            "line 7  1  error: text: missing field \"text\"\n");
}

TEST(TerminalView, NothingOfATextIsObeyedByTheTerminal) {
  const auto text = pieces({{"\x1b[2J\r\x07\t\xC2\x9B\xE2\x80\xAE\xE2\x81\xA6 \xE2\x80\x94\xC3\xA9", 0, 1}});
  const auto view = format_for_terminal(origin_of(1, "\"\x1b[2J\""), reward_of({0.0F}), text, {.color = false});
  EXPECT_NE(view.find("| \\x1b[2J\\x0d\\x07\t\\x9b\\u202e\\u2066 \xE2\x80\x94\xC3\xA9\n"), std::string::npos) << view;
  EXPECT_EQ(view.find('\x1b'), std::string::npos);
}

TEST(TerminalView, ColoursEndWithEachLine) {
  const auto view = format_for_terminal(origin_of(1), reward_of({5.0F, -5.0F, std::nullopt}),
                                        pieces({{"a\n\nb", 0, 1}, {"c", 1, 2}, {"d", 2, 3}}), {.color = true});
  EXPECT_EQ(view.substr(view.find('\n') + 1),
            "   +5.00 | \x1b[48;5;25;38;5;231ma\x1b[0m\n"
            "         | \n"
            "         | \x1b[48;5;25;38;5;231mb\x1b[0m\n"
            "   -5.00 | \x1b[48;5;130;38;5;231mc\x1b[0m\n"
            " skipped | d\n");
}

TEST(TerminalView, ShadesFollowTheLegend) {
  const auto shade = [](float log_odds) {
    const auto view = format_for_terminal(origin_of(1), reward_of({log_odds}), pieces({{"x", 0, 1}}), {.color = true});
    const auto begin = view.find('\x1b');
    return view.substr(begin, view.find('m', begin) + 1 - begin);
  };
  size_t place = 0;  // in the legend, from the lowest to the highest
  for (const float log_odds : {-1e30F, -4.0F, -2.0F, -0.5F, 0.5F, 2.0F, 4.0F}) {
    const size_t found = color_legend().find(shade(log_odds));
    ASSERT_NE(found, std::string::npos);
    EXPECT_GT(found, place);
    place = found;
  }
  EXPECT_EQ(shade(0.0F), shade(0.49F));
  EXPECT_EQ(shade(1e30F), shade(4.0F));
}

}  // namespace
}  // namespace prm_score
