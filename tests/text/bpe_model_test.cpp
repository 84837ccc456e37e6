#include "prm_score/text/bpe_model.h"

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

using Ids = std::vector<TokenId>;

// A model in whose vocabulary every byte is its own id and merges[i] makes token 256 + i, where that is new.
class ModelBuilder {
 public:
  ModelBuilder() {
    for (int byte = 0; byte < 256; ++byte) tokens_.add(std::string(1, static_cast<char>(byte)), byte);
  }

  ModelBuilder& merge(const std::string& left, const std::string& right) {
    TokenId merged = tokens_.find(left + right);
    if (merged == TokenTable::kNotFound) tokens_.add(left + right, merged = tokens_.end_id());
    merges_.push_back({tokens_.find(left), tokens_.find(right), merged});
    return *this;
  }

  BpeModel build(bool ignore_merges = false) const { return {tokens_, merges_, ignore_merges}; }
  const TokenTable& tokens() const { return tokens_; }
  const std::vector<BpeMerge>& merges() const { return merges_; }
  TokenTable& tokens() { return tokens_; }

 private:
  TokenTable tokens_;
  std::vector<BpeMerge> merges_;
};

Ids encode(const BpeModel& model, std::string_view word) {
  Ids ids;
  model.encode(word, ids);
  return ids;
}

// The definition, word for word: find the pair of lowest rank, leftmost, merge it, again. Quadratic.
Ids encode_by_definition(const std::vector<BpeMerge>& merges, std::string_view word) {
  Ids ids;
  for (const char c : word) ids.push_back(static_cast<unsigned char>(c));
  while (true) {
    size_t best_rank = merges.size(), best = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      for (size_t rank = 0; rank < best_rank; ++rank) {
        if (merges[rank].left == ids[i] && merges[rank].right == ids[i + 1]) best_rank = rank, best = i;
      }
    }
    if (best_rank == merges.size()) return ids;
    ids[best] = merges[best_rank].merged;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(BpeModel, MergesLowestRankFirst) {
  // "abc": b+c has rank 0, so a+b, rank 1, never happens.
  const BpeModel model = ModelBuilder().merge("b", "c").merge("a", "b").build();
  EXPECT_EQ(encode(model, "abc"), (Ids{'a', 256}));
  EXPECT_EQ(encode(model, "ab"), (Ids{257}));
}

TEST(BpeModel, MergesLeftmostOfEquals) {
  const BpeModel model = ModelBuilder().merge("a", "a").build();
  EXPECT_EQ(encode(model, "aaa"), (Ids{256, 'a'}));
}

TEST(BpeModel, AWordOfTheVocabularyIsNotAlwaysItsToken) {
  // "abc" is made by ab + c, but b + c comes first: only `ignore_merges` gives the token.
  const ModelBuilder builder = ModelBuilder().merge("b", "c").merge("a", "b").merge("ab", "c");
  EXPECT_EQ(encode(builder.build(), "abc"), (Ids{'a', 256}));
  EXPECT_EQ(encode(builder.build(/*ignore_merges=*/true), "abc"), (Ids{258}));
}

TEST(BpeModel, OfAPairThatIsThereTwiceTheLastCounts) {
  // a+b at rank 0 and again at rank 2, behind b+c: the reference keeps the last.
  const BpeModel model = ModelBuilder().merge("a", "b").merge("b", "c").merge("a", "b").build();
  EXPECT_EQ(encode(model, "abc"), (Ids{'a', 257}));
}

TEST(BpeModel, LeavesOutBytesWithoutAToken) {
  TokenTable tokens;
  tokens.add("a", 0);
  tokens.add("b", 1);
  tokens.add("ab", 2);
  const BpeModel model(tokens, std::vector<BpeMerge>{{0, 1, 2}}, /*ignore_merges=*/false);
  EXPECT_EQ(encode(model, "axb"), (Ids{2}));
  EXPECT_EQ(encode(model, "x"), (Ids{}));
  EXPECT_FALSE(model.knows_all_bytes());
  EXPECT_FALSE(model.is_completable(std::string(100'000, 'a')));
}

TEST(BpeModel, EncodesNothingToNothing) { EXPECT_EQ(encode(ModelBuilder().build(), ""), (Ids{})); }

// Random merges, among them several of one token and such that rank below those that make their parts.
ModelBuilder random_model(std::mt19937_64& random) {
  ModelBuilder builder;
  std::vector<std::string> tokens = {"a", "b", "c"};
  std::set<std::string> seen;
  for (int i = 0; i < 40; ++i) {
    const std::string left = tokens[random() % tokens.size()], right = tokens[random() % tokens.size()];
    if (left.size() + right.size() > 12) continue;
    if (!seen.insert(left + "+" + right).second) continue;
    builder.merge(left, right);
    tokens.push_back(left + right);
  }
  return builder;
}

std::string random_word(std::mt19937_64& random, size_t num_bytes) {
  const size_t num_letters = 1 + random() % 3;
  std::string word;
  while (word.size() < num_bytes) {
    word.append(random() % 10 == 0 ? random() % 50 : 1, static_cast<char>('a' + random() % num_letters));
  }
  return word.substr(0, num_bytes);
}

TEST(BpeModel, FollowsTheDefinitionForRandomModels) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100; ++i) {
    const ModelBuilder builder = random_model(random);
    const BpeModel model = builder.build();
    for (int k = 0; k < 20; ++k) {
      const std::string word = random_word(random, random() % 200);  // short loop and heap
      ASSERT_EQ(encode(model, word), encode_by_definition(builder.merges(), word)) << word;
    }
  }
}

// Long words are encoded in parts; the definition is too slow here, so the heap (one part) is the reference.
TEST(BpeModel, CompletesFromAnotherWordsBeginning) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 60; ++i) {
    const BpeModel model = random_model(random).build();
    const std::string common = random_word(random, 5'000 + random() % 5'000);
    const std::string word = common + random_word(random, random() % 3'000);
    Ids ids = {1, 2, 3};
    for (const TokenId id : encode(model, common + random_word(random, 500))) ids.push_back(id);
    size_t num_spelled = 0, num_kept = 3;
    while (num_kept < ids.size() && num_spelled + model.tokens().bytes(ids[num_kept]).size() <= common.size()) {
      num_spelled += model.tokens().bytes(ids[num_kept++]).size();
    }
    ids.resize(num_kept);
    model.complete(word, /*first=*/3, ids);
    EXPECT_EQ(Ids(ids.begin() + 3, ids.end()), encode(model, word));
    EXPECT_EQ(Ids(ids.begin(), ids.begin() + 3), (Ids{1, 2, 3}));
  }
}

// Parts of 32 KB meet in these; a run of equal letters is merged from its left end, so every seam matters.
TEST(BpeModel, EncodesLongRunsInParts) {
  ModelBuilder builder;
  builder.merge("a", "a").merge("aa", "a").merge("aa", "aa");
  const BpeModel model = builder.build();
  constexpr TokenId kTwo = 256, kThree = 257, kFour = 258;
  for (const size_t length : {99'998u, 99'999u, 100'000u, 100'001u}) {
    // Twos from the left; the last of them takes an odd letter; then the other twos join from the left.
    const bool is_odd = length % 2 == 1;
    const size_t num_twos = is_odd ? (length - 3) / 2 : length / 2;
    Ids expected(num_twos / 2, kFour);
    if (num_twos % 2 == 1) expected.push_back(kTwo);
    if (is_odd) expected.push_back(kThree);
    const Ids ids = encode(model, std::string(length, 'a'));
    EXPECT_EQ(ids, expected) << length;
  }
}

// A word whose neighbouring pairs all differ, and merge from its right end on: so its last byte decides how its first
// ones pair, and what was kept of a shorter word is wrong down to its beginning.
TEST(BpeModel, NoticesAnEndThatIsFeltAtTheBeginning) {
  constexpr size_t kLength = 9'001;
  std::string word(1, '\0');
  std::set<std::string> pairs;
  while (word.size() < kLength) {
    std::string pair = {word.back(), '\xFF'};  // always the largest that is new: this reaches all 65,536 pairs
    while (pairs.contains(pair)) --pair[1];
    pairs.insert(pair);
    word.push_back(pair[1]);
  }
  ModelBuilder builder;
  for (size_t i = kLength - 1; i > 0; --i) builder.merge(word.substr(i - 1, 1), word.substr(i, 1));
  const BpeModel model = builder.build();
  const auto expected = [&](size_t length) {
    Ids ids;
    if (length % 2 == 1) ids.push_back(model.tokens().find(word.substr(0, 1)));
    for (size_t i = length % 2; i < length; i += 2) ids.push_back(model.tokens().find(word.substr(i, 2)));
    return ids;
  };
  Ids ids = encode(model, word.substr(0, kLength - 1));
  ASSERT_EQ(ids, expected(kLength - 1));
  model.complete(word, /*first=*/0, ids);
  EXPECT_EQ(ids, expected(kLength));
}

}  // namespace
}  // namespace prm_score
