#include "prm_score/text/token_table.h"

#include <string>

#include <gtest/gtest.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

TEST(TokenTable, FindsEveryTokenAmongMany) {
  TokenTable table;
  for (TokenId id = 0; id < 20'000; ++id) table.add("token " + std::to_string(id), 2 * id);
  for (TokenId id = 0; id < 20'000; ++id) {
    ASSERT_EQ(table.find("token " + std::to_string(id)), 2 * id);
    ASSERT_EQ(table.bytes(2 * id), "token " + std::to_string(id));
    ASSERT_FALSE(table.contains(2 * id + 1));
  }
  EXPECT_EQ(table.find("token 20000"), TokenTable::kNotFound);
  EXPECT_EQ(table.num_tokens(), 20'000);
  EXPECT_EQ(table.end_id(), 39'999);
  EXPECT_EQ(table.max_token_bytes(), 11u);
}

TEST(TokenTable, TellsTokensWithZeroBytesApart) {
  TokenTable table;
  const std::string one("\0", 1), two("\0\0", 2);
  table.add("", 0);
  table.add(one, 1);
  table.add(two, 2);
  EXPECT_EQ(table.find(""), 0);
  EXPECT_EQ(table.find(one), 1);
  EXPECT_EQ(table.find(two), 2);
}

TEST(TokenTable, DoesNotFindTokensThatAreOnlyDecoded) {
  TokenTable table;
  table.add("a", 0, /*findable=*/false);
  table.add("a", 1);
  EXPECT_EQ(table.find("a"), 1);
  EXPECT_EQ(table.bytes(0), "a");
}

TEST(TokenTable, RefusesIdsAndTokensThatAreTaken) {
  TokenTable table;
  table.add("a", 7);
  EXPECT_THROW(table.add("b", 7), Error);
  EXPECT_THROW(table.add("a", 8), Error);
  EXPECT_THROW(table.add("c", -1), Error);
  EXPECT_THROW(table.add("c", TokenTable::kMaxTokenId + 1), Error);
  EXPECT_EQ(table.num_tokens(), 1);
}

TEST(TokenTable, IsEmptyAtFirst) {
  const TokenTable table;
  EXPECT_EQ(table.find("a"), TokenTable::kNotFound);
  EXPECT_FALSE(table.contains(0));
  EXPECT_EQ(table.bytes(0), "");
  EXPECT_EQ(table.end_id(), 0);
}

}  // namespace
}  // namespace prm_score
