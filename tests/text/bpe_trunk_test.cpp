#include "prm_score/text/bpe_trunk.h"

#include <random>
#include <string>
#include <vector>

#include "tokenizer_kinds.h"
#include <gtest/gtest.h>

#include "prm_score/text/prompt.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {
namespace {

using Random = std::mt19937_64;

// What tokenisers trip over; a text of few of these has them meet in every order.
const std::vector<std::vector<std::string>> kHostilePieces = {
    {"a", "b", "x", "s", "S", "T", "L", "the", " of", "word", "tion", "HTML", "A", "Z"},
    {"0", "1", "12", "345", "٣", "Ⅷ"},
    {" ", " ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\v"},
    {"'", "'s", "'S", "'ſ", "'re", "'LL", "’t"},
    {".", ",", "!", "-", "/", "//", ":", "::", "|", ">", "<", "|>", "=", "_", "(", "\""},
    {"\u0301", "\u0323", "\u0308", "\u3099", "\u093c", "\u20dd"},
    {"é", "ä", "Å", "ẛ", "İ", "ǅ", "ª", "ʰ"},
    {"\u1112", "\u1161", "\u11ab", "\ud55c", "\uac00"},
    {"日", "本", "か", "ж", "Ж", "א", "ب", "क"},
    {"😀", "👍", "🏽", "\u200d", "❤", "\ufe0f", "🇩"},
    {std::string(1, '\0'), "\ufffd", "\ufeff", "\u200b"},
    {"<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "[INST]", "<|eot_id|>", "<tool_call>", "<think>"},
    {"<a>", "<b>", "<a><b>", "<l>", "<r>", "<lr>", "[sp]", " <sp>", "caf\u00e9", "cafe\u0301", "<n\u00e9>",
     "<ne\u0301>"},
    {"<|im", "_end|>", "<|", "im_start", "<a", "><b", "[s", "p]", "caf", "<n", "[IN", "ST]", "|>x", "wor"},
    {"<<JUDGEMENT_REGION>>", "<</JUDGEMENT_REGION>>", "<<JUDGEMENT>>"},
};

const std::string& pick(const std::vector<std::string>& pieces, Random& random) {
  return pieces[random() % pieces.size()];
}

std::string random_text(Random& random) {
  const size_t num_groups = random() % 4 == 0 ? kHostilePieces.size() : 1 + random() % 4;
  std::vector<size_t> groups;
  for (size_t i = 0; i < num_groups; ++i) groups.push_back(random() % kHostilePieces.size());
  std::string text;
  for (size_t i = 1 + random() % 60; i > 0; --i) {
    const std::string& piece = pick(kHostilePieces[groups[random() % num_groups]], random);
    for (size_t times = random() % 20 == 0 ? 1 + random() % 30 : 1; times > 0; --times) text += piece;
  }
  return text;
}

bool is_boundary(const std::string& text, size_t offset) {
  return offset == text.size() || (static_cast<unsigned char>(text[offset]) & 0xC0) != 0x80;
}

size_t random_cut(const std::string& text, Random& random) {
  size_t cut = random() % (text.size() + 1);
  while (!is_boundary(text, cut)) --cut;
  return cut;
}

std::string random_tail(Random& random) {
  std::string chunk = random_text(random);
  switch (random() % 4) {
    case 0:
      return chunk;
    case 1:
      return "";
    default:
      return std::string(kTemplateBeforeChunk) + chunk + std::string(kTemplateAfterChunk);
  }
}

// join(), held against the whole string. Counts the kept ids, so that a test can tell that some were.
void expect_whole_string_ids(const Tokenizer& tokenizer, const Trunk& trunk, const std::string& text, size_t cut,
                             const std::string& tail, int64_t& num_kept) {
  const JoinedIds joined = trunk.join(static_cast<int64_t>(cut), tail);
  ASSERT_LE(joined.num_shared, static_cast<int64_t>(trunk.ids().size()));
  std::vector<TokenId> ids(trunk.ids().begin(), trunk.ids().begin() + joined.num_shared);
  ids.insert(ids.end(), joined.rest.begin(), joined.rest.end());
  ASSERT_EQ(ids, tokenizer.encode(text.substr(0, cut) + tail))
      << "text \"" << text << "\" cut at " << cut << ", tail \"" << tail << '"';
  num_kept += joined.num_shared;
}

class BpeTrunkOfKind : public testing::TestWithParam<std::tuple<std::string, SpecialTokens>> {
 protected:
  const std::unique_ptr<Tokenizer> tokenizer_ = load_kind(std::get<0>(GetParam()), std::get<1>(GetParam()));
};

TEST_P(BpeTrunkOfKind, JoinsAsWholeStringsAreEncoded) {
  Random random(1);
  int64_t num_kept = 0;
  for (int i = 0; i < 150; ++i) {
    const std::string text = random_text(random);
    const auto trunk = tokenizer_->encode_trunk(text);
    ASSERT_EQ(trunk->ids(), tokenizer_->encode(text));
    for (int k = 0; k < 10; ++k) {
      const std::string tail = random_tail(random);
      ASSERT_NO_FATAL_FAILURE(
          expect_whole_string_ids(*tokenizer_, *trunk, text, random_cut(text, random), tail, num_kept));
    }
  }
  EXPECT_GT(num_kept, 0);
}

// The hard cases, cut at every place before every kind of tail: white space of all kinds, in runs longer than the
// longest added token; special tokens that are text and hold the beginning of others; marks that wait for one before
// them.
TEST_P(BpeTrunkOfKind, JoinsAtEveryPlace) {
  const std::string spaces(40, ' ');
  const std::vector<std::string> texts = {
      "one \n\n\n  two\r\n \t three...\n\n \u3000 4 5\u2028\n  <|im_end|> \n <r>  \n<l> don't  \n",
      "one\n\n" + spaces + "two\n" + spaces + "\t\r\n" + spaces + "3" + spaces + "<l>" + spaces + "x",
      "<|im_end|>x one <|im_end|>xy two<|im_end|>x and <|im_start|>x three <|endoftext|> four and five",
      "a\u0323\u0301 q\u0301\u0323\u0301 <a>\u0301e <b>\u0323\u0301 \u1112\u1161 \u11ab <|im_end|>\u11ab one two three",
  };
  int64_t num_kept = 0;
  for (const std::string& text : texts) {
    const auto trunk = tokenizer_->encode_trunk(text);
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      if (!is_boundary(text, cut)) continue;
      for (const char* tail : {"", " ", "\n", "\n\n<<JUDGEMENT_REGION>>\n", "x", "  x", "\r\n", "'s", "1", "\u3000",
                               "!", "\u0301", "\u11ab", "_end|>x"}) {
        ASSERT_NO_FATAL_FAILURE(expect_whole_string_ids(*tokenizer_, *trunk, text, cut, tail, num_kept));
      }
    }
  }
}

// Pre-tokens over 4 KB, whose merges are kept up to about 2 KB before the cut.
TEST_P(BpeTrunkOfKind, JoinsInsideLongPreTokens) {
  Random random(2);
  std::string letters;
  while (letters.size() < 20'000) letters += static_cast<char>('a' + random() % 26);
  const std::vector<std::string> long_words = {std::string(20'000, 'a'), std::string(9'001, ' '),
                                               std::string(7'000, '\n'), std::string(12'000, '='), letters};
  int64_t num_kept = 0;
  for (const std::string& word : long_words) {
    const std::string text = "one two " + word + " three\n" + word + "four";
    const auto trunk = tokenizer_->encode_trunk(text);
    ASSERT_EQ(trunk->ids(), tokenizer_->encode(text));
    for (int i = 0; i < 12; ++i) {
      const std::string tail = i % 3 == 0 ? word.substr(0, 10) + "b" : random_tail(random);
      ASSERT_NO_FATAL_FAILURE(
          expect_whole_string_ids(*tokenizer_, *trunk, text, random_cut(text, random), tail, num_kept));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BpeTrunkOfKind,
                         testing::Combine(testing::ValuesIn(kTokenizerKinds),
                                          testing::Values(SpecialTokens::kParse, SpecialTokens::kText)),
                         [](const auto& kind) {
                           std::string name = std::get<0>(kind.param) +
                                              (std::get<1>(kind.param) == SpecialTokens::kParse ? "_parse" : "_text");
                           std::erase(name, '.');
                           return name;
                         });

// Kinds whose cuts are felt only nearby tokenise no more than that again.
TEST(BpeTrunk, TokenisesOnlyTheEndOfThePrefixAgain) {
  const std::string text = read_test_file(data_folder() / "corpus" / "sotu" / "1862_abraham_lincoln_r.txt");
  const std::string tail(kTemplateBeforeChunk);
  for (const char* kind : {"qwen2.5", "qwen3", "llama3", "mistral_nemo", "gpt2", "odd_tokens"}) {
    const auto tokenizer = load_kind(kind, SpecialTokens::kParse);
    const auto trunk = tokenizer->encode_trunk(text);
    const size_t num_tail_ids = tokenizer->encode(tail).size();
    for (int64_t cut = 1000; cut < static_cast<int64_t>(text.size()); cut += 999) {
      EXPECT_LE(trunk->join(cut, tail).rest.size(), num_tail_ids + 50) << kind << " cut at " << cut;
    }
  }
}

// A context field that is not normalised, before text that is: cuts behind it do not go back to it.
TEST(BpeTrunk, KeepsPiecesOfUnnormalisedText) {
  const auto tokenizer = load_kind("qwen2.5", SpecialTokens::kParse);
  std::string text;
  for (int i = 0; i < 100; ++i) text += "cafe\u0301 no\u0308n \u1112\u1161\u11ab, ";
  const size_t num_unnormalised = text.size();
  for (int i = 0; i < 100; ++i) text += "and then plain words ";
  const auto trunk = tokenizer->encode_trunk(text);
  int64_t num_kept = 0;
  for (size_t cut = num_unnormalised + 60; cut < text.size(); cut += 100) {
    ASSERT_NO_FATAL_FAILURE(expect_whole_string_ids(*tokenizer, *trunk, text, cut, "\n\nx", num_kept));
    EXPECT_LT(trunk->join(static_cast<int64_t>(cut), "\n\nx").rest.size(), 50u);
  }
}

}  // namespace
}  // namespace prm_score
