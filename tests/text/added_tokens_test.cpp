#include "prm_score/text/added_tokens.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

using Matches = std::vector<AddedTokenMatch>;

AddedToken token(TokenId id, std::string content) {
  AddedToken token;
  token.id = id;
  token.content = std::move(content);
  return token;
}

Matches find(const AddedTokenMatcher& matcher, std::string_view text) {
  Matches matches;
  matcher.find(text, matches);
  return matches;
}

Matches find(const std::vector<AddedToken>& tokens, std::string_view text) {
  return find(AddedTokenMatcher(tokens, SpecialTokens::kParse), text);
}

TEST(AddedTokenMatcher, TakesTheLeftmostAndOfThoseTheLongest) {
  const std::vector<AddedToken> tokens = {token(1, "<a>"), token(2, "<a><b>"), token(3, "<b><c>"), token(4, "<")};
  EXPECT_EQ(find(tokens, "x<a>y"), (Matches{{1, 1, 4}}));
  EXPECT_EQ(find(tokens, "<a><b><c>"), (Matches{{2, 0, 6}, {4, 6, 7}}));
  EXPECT_EQ(find(tokens, "<<a"), (Matches{{4, 0, 1}, {4, 1, 2}}));
}

TEST(AddedTokenMatcher, FindsNothingWithoutTokensOrText) {
  EXPECT_EQ(find(std::vector<AddedToken>{}, "<a>"), Matches{});
  EXPECT_EQ(find({token(1, "<a>")}, ""), Matches{});
  EXPECT_EQ(find({token(1, "<a>")}, "<a"), Matches{});
}

TEST(AddedTokenMatcher, TakesWhiteSpaceAround) {
  AddedToken left = token(1, "<l>"), right = token(2, "<r>");
  left.lstrip = true;
  right.rstrip = true;
  EXPECT_EQ(find({left, right}, "a \u3000<l> b"), (Matches{{1, 1, 8}}));
  EXPECT_EQ(find({left, right}, "a <r>\n\u2003b"), (Matches{{2, 2, 9}}));
  EXPECT_EQ(find({left, right}, "<r>  <l>"), (Matches{{2, 0, 5}, {1, 5, 8}}));  // what is taken is not taken again
}

TEST(AddedTokenMatcher, WantsNoWordCharacterBesideASingleWord) {
  AddedToken word = token(1, "word");
  word.single_word = true;
  EXPECT_EQ(find({word}, "word, word"), (Matches{{1, 0, 4}, {1, 6, 10}}));
  for (const char* text :
       {"words", "aword", "_word", "word1", "word\u0301", "\u00E9word", "word\u200D", "word\u24D0"}) {
    EXPECT_EQ(find({word}, text), Matches{}) << text;
  }
}

TEST(AddedTokenMatcher, PassesOverSpecialTokensThatAreText) {
  AddedToken special = token(1, "<|a|>");
  special.special = true;
  const std::vector<AddedToken> tokens = {special, token(2, "|>"), token(3, "<b>")};
  const AddedTokenMatcher matcher(tokens, SpecialTokens::kText);
  EXPECT_EQ(find(matcher, "<|a|><b>"), (Matches{{3, 5, 8}}));  // not "|>", which the search has passed
  EXPECT_TRUE(matcher.may_pass_over("<|a|>", 3));
  EXPECT_FALSE(matcher.may_pass_over("<|a|>", 0));
  EXPECT_FALSE(matcher.may_pass_over("<|a|><b>", 5));
  EXPECT_TRUE(matcher.has_plain_special());
}

TEST(AddedTokenMatcher, RefusesTokensItCannotTellApart) {
  EXPECT_THROW(AddedTokenMatcher(std::vector{token(1, "a"), token(2, "a")}, SpecialTokens::kParse), Error);
  EXPECT_THROW(AddedTokenMatcher(std::vector{token(1, "")}, SpecialTokens::kParse), Error);
}

}  // namespace
}  // namespace prm_score
