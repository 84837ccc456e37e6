#include "prm_score/text/normalizer.h"

#include <fstream>

#include "crc32.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

using Json = nlohmann::json;

// data/golden/unicode/nfc.json, made by scripts/make_unicode_goldens.py with `tokenizers`.
const Json& golden() {
  static const Json json = Json::parse(std::ifstream(PRM_SCORE_DATA_DIR "/golden/unicode/nfc.json"));
  return json;
}

std::string utf8(std::initializer_list<char32_t> code_points) {
  std::string text;
  for (const char32_t code_point : code_points) append_utf8(code_point, text);
  return text;
}

// CRC-32 per block of NFC of a phrase around each code point.
template <typename Phrase>
void expect_blocks_equal(const Json& expected_crcs, const Phrase& phrase) {
  const auto block_size = golden().at("block_size").get<char32_t>();
  ASSERT_GT(block_size, 0u);
  for (char32_t begin = 0; begin <= kMaxCodePoint; begin += block_size) {
    uint32_t crc = 0;
    for (char32_t code_point = begin; code_point < begin + block_size; ++code_point) {
      if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
      crc = crc32(normalize_nfc(phrase(utf8({code_point}))), crc);
    }
    EXPECT_EQ(crc, expected_crcs.at(begin / block_size)) << "block from U+" << std::hex << uint32_t{begin};
  }
}

TEST(NormalizeNfc, EveryCodePointEqualsTheReference) {
  expect_blocks_equal(golden().at("code_points"), [](const std::string& character) { return character; });
}

// A class above (240) before it and a class below (1) after it: shows whether it is a mark and moves.
TEST(NormalizeNfc, EveryCodePointBetweenMarksEqualsTheReference) {
  expect_blocks_equal(golden().at("between_marks"),
                      [](const std::string& character) { return "q\u0345" + character + "\u0334"; });
}

TEST(NormalizeNfc, EveryPairOfBaseAndMarkEqualsTheReference) {
  const Json& bases = golden().at("bases");
  for (size_t i = 0; i < bases.size(); ++i) {
    uint32_t crc = 0;
    for (const char32_t second : golden().at("seconds")) {
      crc = crc32(normalize_nfc(utf8({bases[i].get<char32_t>(), second})) + "\n", crc);
    }
    EXPECT_EQ(crc, golden().at("pairs").at(i)) << "base U+" << std::hex << bases[i].get<uint32_t>();
  }
}

TEST(NormalizeNfc, RandomStringsEqualTheReference) {
  for (const Json& string : golden().at("strings")) {
    EXPECT_EQ(normalize_nfc(string[0].get<std::string>()), string[1].get<std::string>()) << string[0];
  }
}

TEST(NormalizeNfc, ComposesOrdersAndKeepsExclusions) {
  EXPECT_EQ(normalize_nfc("e\u0301"), "\u00E9");
  EXPECT_EQ(normalize_nfc("a\u0301\u0323"), "\u1EA1\u0301");                   // the dot below comes first and composes
  EXPECT_EQ(normalize_nfc("e\u0300\u0301"), "\u00E8\u0301");                   // the second acute accent is blocked
  EXPECT_EQ(normalize_nfc("\u212B\u2126"), "\u00C5\u03A9");                    // singletons: angstrom, ohm
  EXPECT_EQ(normalize_nfc("\u0958"), "\u0915\u093C");                          // composition exclusion
  EXPECT_EQ(normalize_nfc("\u1112\u1161\u11AB\uAC00\u11A8"), "\uD55C\uAC01");  // Hangul jamo, syllable + jamo
  EXPECT_EQ(normalize_nfc(""), "");
}

TEST(NormalizeNfcWithSources, NothingChangedHasNoSources) {
  const NormalizedText result = normalize_nfc_with_sources("Zürich x\u0323\u0301");
  EXPECT_EQ(result.text, "Zürich x\u0323\u0301");
  EXPECT_TRUE(result.sources.empty());
}

TEST(NormalizeNfcWithSources, ComposedCharacterComesFromAllItsParts) {
  const NormalizedText result = normalize_nfc_with_sources("xe\u0301y");
  EXPECT_EQ(result.text, "x\u00E9y");
  EXPECT_EQ(result.sources, (std::vector<ByteRange>{{0, 1}, {1, 4}, {1, 4}, {4, 5}}));
}

// q, acute (bytes 1-2), dot below (3-4): the marks change places, so both ranges widen to stay in order.
TEST(NormalizeNfcWithSources, ReorderedMarksKeepRangesInOrder) {
  const NormalizedText result = normalize_nfc_with_sources("q\u0301\u0323");
  EXPECT_EQ(result.text, "q\u0323\u0301");
  EXPECT_EQ(result.sources, (std::vector<ByteRange>{{0, 1}, {1, 5}, {1, 5}, {1, 5}, {1, 5}}));
}

TEST(NormalizeNfcWithSources, RandomStringsHaveOrderedSourcesWithoutGaps) {
  for (const Json& string : golden().at("strings")) {
    const auto text = string[0].get<std::string>();
    const NormalizedText result = normalize_nfc_with_sources(text);
    EXPECT_EQ(result.text, normalize_nfc(text)) << string[0];
    if (result.sources.empty()) {
      EXPECT_EQ(result.text, text);
      continue;
    }
    ASSERT_EQ(result.sources.size(), result.text.size());
    ByteRange last;
    for (const ByteRange& source : result.sources) {
      EXPECT_GE(source.begin, last.begin) << string[0];
      EXPECT_GE(source.end, last.end) << string[0];
      EXPECT_LE(source.begin, last.end) << string[0];
      last = source;
    }
    EXPECT_EQ(last.end, static_cast<int64_t>(text.size())) << string[0];
  }
}

TEST(MayChangeBefore, ElsewhereTextCanBeCutAndNormalizedInParts) {
  for (const Json& string : golden().at("strings")) {
    const auto text = string[0].get<std::string>();
    for (size_t cut = 0; cut < text.size(); cut += decode_code_point(text, cut).num_bytes) {
      if (may_change_before(decode_code_point(text, cut).code_point)) continue;
      EXPECT_EQ(normalize_nfc(text.substr(0, cut)) + normalize_nfc(text.substr(cut)), normalize_nfc(text))
          << string[0] << " cut at byte " << cut;
    }
  }
  EXPECT_FALSE(may_change_before('a'));
  EXPECT_FALSE(may_change_before(U'é'));
  EXPECT_TRUE(may_change_before(0x0301));
  EXPECT_TRUE(may_change_before(0x1161));
}

TEST(NormalizeNfc, LongRunsOfMarksTakeLinearTime) {
  std::string marks;
  for (int i = 0; i < 100'000; ++i) marks += "\u0301\u0323";
  std::string expected = "\u1EA1";  // a + the first dot below
  for (int i = 1; i < 100'000; ++i) expected += "\u0323";
  for (int i = 0; i < 100'000; ++i) expected += "\u0301";
  EXPECT_EQ(normalize_nfc("a" + marks), expected);
}

}  // namespace
}  // namespace prm_score
