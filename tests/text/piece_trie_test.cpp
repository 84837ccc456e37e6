#include "prm_score/text/piece_trie.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(PieceTrie, FindsEveryPieceATextBeginsWith) {
  const PieceTrie trie({{"ab", 1}, {"a", 2}, {"abcd", 3}, {"\xFF", 4}, {std::string("\0b", 2), 5}});
  std::vector<int32_t> found;
  uint32_t node = PieceTrie::kRoot;
  for (const char c : std::string_view("abcd")) {
    ASSERT_TRUE(trie.advance(node, c));
    found.push_back(trie.value(node));
  }
  EXPECT_EQ(found, (std::vector<int32_t>{2, 1, PieceTrie::kNone, 3}));
  const uint32_t last = node;
  EXPECT_FALSE(trie.advance(node, 'e'));
  EXPECT_EQ(node, last);
}

TEST(PieceTrie, LongestMatchIsTheLongestWholePiece) {
  const PieceTrie trie({{"ab", 1}, {"a", 2}, {"abcd", 3}, {"\xFF", 4}, {std::string("\0b", 2), 5}});
  EXPECT_EQ(trie.longest_match("abc"), 2u);
  EXPECT_EQ(trie.longest_match("abcde"), 4u);
  EXPECT_EQ(trie.longest_match("\xFF\xFF"), 1u);
  EXPECT_EQ(trie.longest_match(std::string_view("\0b", 2)), 2u);
  EXPECT_EQ(trie.longest_match("b"), 0u);
  EXPECT_EQ(trie.longest_match(""), 0u);
}

TEST(PieceTrie, WithoutPiecesMatchesNothing) {
  const PieceTrie trie({});
  EXPECT_EQ(trie.longest_match("a"), 0u);
}

}  // namespace
}  // namespace prm_score
