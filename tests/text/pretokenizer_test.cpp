#include "prm_score/text/pretokenizer.h"

#include <array>
#include <fstream>
#include <random>
#include <thread>
#include <utility>

#include "crc32.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

using Json = nlohmann::json;
using Ends = std::vector<int64_t>;

// data/golden/unicode/, made by scripts/make_unicode_goldens.py with `tokenizers`.
Json golden(const std::string& file_name) {
  return Json::parse(std::ifstream(PRM_SCORE_DATA_DIR "/golden/unicode/" + file_name));
}

std::string known_pattern(const std::string& name) {
  static const Json splits = golden("splits.json");
  return splits.at("known_patterns").at(name);
}

Ends ends_of(const Pretokenizer& pretokenizer, std::string_view text) {
  Ends ends;
  pretokenizer.split(text, ends);
  return ends;
}

std::vector<std::string> pieces_of(const Pretokenizer& pretokenizer, const std::string& text) {
  std::vector<std::string> pieces;
  int64_t begin = 0;
  for (const int64_t end : ends_of(pretokenizer, text)) {
    pieces.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

TEST(Pretokenizer, TrickyTextsAndEveryConstructSplitAsTheReference) {
  const Json splits = golden("splits.json");
  ASSERT_GT(splits.at("splits").size(), 200u);
  for (const Json& split : splits.at("splits")) {
    const Pretokenizer pretokenizer(split.at("pattern").get<std::string>(), "f");
    EXPECT_EQ(pieces_of(pretokenizer, split.at("text")), split.at("pieces").get<std::vector<std::string>>())
        << split.at("pattern") << " on " << split.at("text");
  }
}

// CRC-32 per block of the piece lengths of a text around each code point.
template <typename TextAround>
void expect_blocks_equal(const Json& expected, size_t block_size, const TextAround& text_around) {
  const Pretokenizer pretokenizer(expected.at("pattern").get<std::string>(), "f");
  for (char32_t begin = 0; begin <= kMaxCodePoint; begin += static_cast<char32_t>(block_size)) {
    uint32_t crc = 0;
    for (char32_t code_point = begin; code_point < begin + block_size; ++code_point) {
      if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
      std::string character;
      append_utf8(code_point, character);
      std::string lengths;
      int64_t piece_begin = 0;
      for (const int64_t end : ends_of(pretokenizer, text_around(character))) {
        lengths += static_cast<char>(end - std::exchange(piece_begin, end));
      }
      crc = crc32(lengths, crc);
    }
    EXPECT_EQ(crc, expected.at("crcs").at(begin / block_size))
        << expected.at("name") << ": block from U+" << std::hex << uint32_t{begin};
  }
}

TEST(Pretokenizer, EveryCodePointSplitsAsTheReferenceUnderTheKnownPatterns) {
  const Json code_points = golden("code_points.json");
  for (const Json& expected : code_points.at("phrases")) {
    expect_blocks_equal(expected, code_points.at("block_size"), [](const std::string& c) {
      return "a" + c + "b1" + c + "2 " + c + c + "'" + c + " \n" + c + "A" + c + "!" + c;
    });
  }
}

// The first piece is as long as the number of the code point's category says.
TEST(Pretokenizer, EveryCodePointHasTheCategoriesOfTheReference) {
  const Json code_points = golden("code_points.json");
  const auto digits = code_points.at("digits").get<std::string>();
  for (const Json& expected : code_points.at("before_digits")) {
    expect_blocks_equal(expected, code_points.at("block_size"), [&](const std::string& c) { return c + digits; });
  }
}

TEST(Pretokenizer, AppendsAndGivesNothingForNothing) {
  const Pretokenizer pretokenizer(R"(\p{L}+)", "f");
  Ends ends = {7};
  pretokenizer.split("", ends);
  EXPECT_EQ(ends, (Ends{7}));
  pretokenizer.split("né, x", ends);
  EXPECT_EQ(ends, (Ends{7, 3, 5, 6}));
}

TEST(Pretokenizer, TenMillionEqualCharactersTakeLinearTime) {
  for (const char* name : {"gpt2", "qwen2", "llama3", "tekken"}) {
    const Pretokenizer pretokenizer(known_pattern(name), "f");
    for (const char character : {'a', 'A', '.', '\n', ' '}) {
      EXPECT_EQ(ends_of(pretokenizer, std::string(10'000'000, character)), (Ends{10'000'000})) << name << character;
    }
    EXPECT_EQ(ends_of(pretokenizer, std::string(10'000'000, ' ') + "x"), (Ends{9'999'999, 10'000'001})) << name;
    const size_t num_pieces = ends_of(pretokenizer, std::string(3'000'000, '1')).size();
    EXPECT_EQ(num_pieces, name == std::string("gpt2") ? 1u : name == std::string("llama3") ? 1'000'000u : 3'000'000u);
  }
}

// Tekken's first alternative takes all capitals and gives them back one by one, looking for a small letter.
TEST(Pretokenizer, LongWordsMayTakeMoreStepsThanTheLeastLimit) {
  const Pretokenizer pretokenizer(known_pattern("tekken"), "f");
  EXPECT_EQ(ends_of(pretokenizer, std::string(60'000'000, 'A')), (Ends{60'000'000}));
}

TEST(Pretokenizer, ExplodingPatternIsAnErrorThatSaysWhere) {
  const Pretokenizer pretokenizer("(a+)+$", "tokenizer.json: pre_tokenizer");
  try {
    ends_of(pretokenizer, "b" + std::string(100, 'a') + "c");
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(
        std::string(error.what()),
        "tokenizer.json: pre_tokenizer: split pattern: expected a match in at most 50000000 steps, got match limit "
        "exceeded at character 0 of a text of 102");
  }
}

// Groups that repeat need a stack; where that of the JIT ends, the interpreter goes on until its heap limit.
TEST(Pretokenizer, RepeatedGroupsOverLongTextDoNotCrash) {
  const Pretokenizer pretokenizer(R"((?:\p{L}\p{M}?)+)", "f");
  EXPECT_EQ(ends_of(pretokenizer, std::string(200'000, 'a')), (Ends{200'000}));
  try {
    EXPECT_EQ(ends_of(pretokenizer, std::string(5'000'000, 'a')), (Ends{5'000'000}));
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("limit"), std::string::npos) << error.what();
  }
}

TEST(Pretokenizer, PatternsThatCannotRunAreErrors) {
  EXPECT_THROW(Pretokenizer("(?<=a*)b", "f"), Error);  // PCRE2: lookbehind without fixed length
  EXPECT_THROW(Pretokenizer("[", "f"), Error);
  std::string many_letters;
  for (char32_t code_point = 0x4E00; code_point < 0x4E00 + 300; ++code_point) append_utf8(code_point, many_letters);
  EXPECT_THROW(Pretokenizer(many_letters, "f"), Error);
}

TEST(Pretokenizer, ThreadsShareOne) {
  const Pretokenizer pretokenizer(known_pattern("qwen2"), "f");
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "It's " + std::to_string(i) + " ünïcödé words\n\n";
  const Ends expected = ends_of(pretokenizer, text);
  std::vector<Ends> results(4);
  std::vector<std::thread> threads;
  for (Ends& result : results) threads.emplace_back([&] { result = ends_of(pretokenizer, text); });
  for (std::thread& thread : threads) thread.join();
  for (const Ends& result : results) EXPECT_EQ(result, expected);
}

TEST(CutsAreLocal, ForTheKnownPatternsOnly) {
  for (const char* name : {"gpt2", "qwen2", "llama3"}) {
    EXPECT_TRUE(Pretokenizer(known_pattern(name), "f").cuts_are_local("x")) << name;
  }
  EXPECT_FALSE(Pretokenizer(R"(\p{L}+|\s+)", "f").cuts_are_local("\n"));
  const Pretokenizer tekken(known_pattern("tekken"), "f");
  for (const char* tail : {"", "\n\n<<", " x", "1", "'s"}) EXPECT_TRUE(tekken.cuts_are_local(tail)) << tail;
  for (const char* tail : {"x", "X", "\u6F22", "\u0301"}) EXPECT_FALSE(tekken.cuts_are_local(tail)) << tail;
}

// Why tekken is not local before a letter: the run of upper-case letters is looked through for a lower-case one.
TEST(CutsAreLocal, TekkenLooksThroughARunOfLetters) {
  const Pretokenizer tekken(known_pattern("tekken"), "f");
  EXPECT_EQ(pieces_of(tekken, "A\u6F22BB 1"), (std::vector<std::string>{"A\u6F22", "BB", " ", "1"}));
  EXPECT_EQ(pieces_of(tekken, "A\u6F22BBx"), (std::vector<std::string>{"A\u6F22BBx"}));
}

constexpr std::string_view kTemplateTail = "\n\n<<JUDGEMENT_REGION>>\nchunk\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>";

// Random texts in which the joints of the patterns are frequent: parts of contractions, digits, newlines, slashes,
// runs.
class TextSource {
 public:
  std::string next() {
    std::string text;
    for (size_t length = random_() % 30; length > 0; --length) text += kAtoms[random_() % kAtoms.size()];
    return text;
  }
  size_t below(size_t limit) { return random_() % limit; }

 private:
  static constexpr std::array<std::string_view, 36> kAtoms = {
      " ",      " ",      " ",      "  ", "\n", "\n",  "\r",     "\r\n", "\t", "\u00A0", "\u2028", "'",
      "'",      "'s",     "'L",     "l",  "L",  "re",  "ve",     "S",    "a",  "B",      "BB",     "\u6F22",
      "\u0301", "\u01C5", "\u02B0", "1",  "22", "333", "\u0663", "/",    "/",  "!",      "...",    "\u017F"};
  std::mt19937 random_{20250101};
};

// Start of the white-space run that ends at `cut`.
int64_t start_of_white_space(std::string_view text, size_t cut) {
  size_t start = cut;
  for (size_t offset = 0; offset < cut;) {
    const DecodedCodePoint next = decode_code_point(text, offset);
    if (!is_white_space(next.code_point))
      start = cut;
    else if (start == cut)
      start = offset;
    offset += next.num_bytes;
  }
  return static_cast<int64_t>(start);
}

TEST(CutsAreLocal, PiecesBeforeTheCutStayTheSame) {
  for (const char* name : {"gpt2", "qwen2", "llama3", "tekken"}) {
    const Pretokenizer pretokenizer(known_pattern(name), "f");
    TextSource source;
    int64_t num_kept = 0;
    for (int i = 0; i < 30'000; ++i) {
      const std::string text = source.next();
      size_t cut = source.below(text.size() + 1);
      while (cut < text.size() && (text[cut] & 0xC0) == 0x80) ++cut;
      const std::string tail = i % 2 == 0 ? std::string(kTemplateTail) : source.next();
      if (!pretokenizer.cuts_are_local(tail)) continue;

      Ends kept = ends_of(pretokenizer, text);
      const int64_t felt_from = start_of_white_space(text, cut);
      while (!kept.empty() && kept.back() >= felt_from) kept.pop_back();
      Ends after_cut = ends_of(pretokenizer, text.substr(0, cut) + tail);
      ASSERT_GE(after_cut.size(), kept.size());
      after_cut.resize(kept.size());
      ASSERT_EQ(after_cut, kept) << name << ": " << Json(text) << " cut at " << cut << ", then " << Json(tail);
      num_kept += static_cast<int64_t>(kept.size());
    }
    EXPECT_GT(num_kept, 50'000) << name;
  }
}

}  // namespace
}  // namespace prm_score
