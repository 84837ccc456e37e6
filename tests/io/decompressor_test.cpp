#include "prm_score/io/decompressor.h"

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

std::string gzip(const std::string& plain) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string compressed(deflateBound(&stream, plain.size()) + 64, '\0');
  std::vector<unsigned char> bytes(plain.begin(), plain.end());
  stream.next_in = bytes.data();
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  deflate(&stream, Z_FINISH);
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  return compressed;
}

std::string zstd(const std::string& plain) {
  std::string compressed(ZSTD_compressBound(plain.size()), '\0');
  compressed.resize(ZSTD_compress(compressed.data(), compressed.size(), plain.data(), plain.size(), 3));
  return compressed;
}

// In pieces of these sizes.
std::string decompress(const std::string& compressed, size_t piece, size_t room, bool& is_whole) {
  const auto decompressor = make_decompressor(compressed);
  if (!decompressor) throw Error("not compressed");
  std::string plain;
  std::vector<char> place(room);
  size_t begin = 0, end = 0;
  while (true) {
    const auto moved = decompressor->move(std::string_view(compressed).substr(begin, end - begin), place);
    begin += moved.num_taken;
    plain.append(place.data(), moved.num_given);
    if (moved.num_given > 0 || begin < end) continue;
    if (end == compressed.size()) break;
    end = std::min(compressed.size(), end + piece);
  }
  is_whole = decompressor->is_whole();
  return plain;
}

std::string text(size_t size) {
  std::string text;
  for (size_t i = 0; text.size() < size; ++i) text += "line " + std::to_string(i * i) + "\n";
  return text;
}

class DecompressorTest : public testing::TestWithParam<std::string (*)(const std::string&)> {};

TEST_P(DecompressorTest, GivesWhatWasCompressedInPiecesOfAnySize) {
  const auto compress = GetParam();
  for (const std::string& plain : {std::string("a"), text(100), text(300'000), std::string()}) {
    for (const size_t piece : {1, 7, 1000, 1'000'000}) {
      if (piece == 1 && plain.size() > 1000) continue;
      for (const size_t room : {1, 100, 70'000}) {
        if (room == 1 && plain.size() > 1000) continue;
        bool is_whole = false;
        EXPECT_EQ(decompress(compress(plain), piece, room, is_whole), plain) << plain.size() << " " << piece;
        EXPECT_TRUE(is_whole);
      }
    }
  }
}

TEST_P(DecompressorTest, SeveralStreamsAreOne) {
  const auto compress = GetParam();
  bool is_whole = false;
  EXPECT_EQ(decompress(compress("ab") + compress("") + compress(text(5000)), 50, 100, is_whole), "ab" + text(5000));
  EXPECT_TRUE(is_whole);
}

TEST_P(DecompressorTest, AStreamThatIsCutOffIsNotWhole) {
  const std::string compressed = GetParam()(text(5000));
  for (const size_t size : {compressed.size() - 1, compressed.size() / 2, size_t{10}}) {
    bool is_whole = true;
    const std::string plain = decompress(compressed.substr(0, size), 1000, 1000, is_whole);
    EXPECT_FALSE(is_whole) << size;
    EXPECT_TRUE(text(5000).starts_with(plain)) << size;
  }
}

TEST_P(DecompressorTest, DamagedBytesAreAnErrorOrAnotherText) {
  const std::string compressed = GetParam()(text(5000));
  size_t num_errors = 0;
  for (size_t i = 4; i < compressed.size(); ++i) {
    std::string damaged = compressed;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
    bool is_whole = false;
    try {
      static_cast<void>(decompress(damaged, 100'000, 1000, is_whole));
    } catch (const Error&) {
      ++num_errors;
    }
  }
  EXPECT_GT(num_errors, compressed.size() / 3);
  bool is_whole = false;
  EXPECT_THROW(static_cast<void>(decompress(compressed + "rubbish", 100'000, 1000, is_whole)), Error);
}

INSTANTIATE_TEST_SUITE_P(Formats, DecompressorTest, testing::Values(gzip, zstd));

TEST(GzipDecompressorTest, ZerosAtTheEndAreIgnored) {
  bool is_whole = false;
  EXPECT_EQ(decompress(gzip("ab") + std::string(1000, '\0'), 100, 100, is_whole), "ab");
  EXPECT_TRUE(is_whole);
}

TEST(MakeDecompressorTest, KnowsFilesByTheirFirstBytes) {
  for (const char* plain : {"", "{", "(", "\x1f", "{\"text\": \"a\"}\n", "\xEF\xBB\xBF{}", "(not zstd)"}) {
    EXPECT_EQ(make_decompressor(plain), nullptr) << plain;
  }
  EXPECT_STREQ(make_decompressor(gzip("a"))->name(), "gzip");
  EXPECT_STREQ(make_decompressor(zstd("a"))->name(), "zstd");
  using namespace std::string_view_literals;
  for (const auto& [bytes, name] : {std::pair{"\xfd\x37\x7a\x58\x5a\x00 and more"sv, "xz"},
                                    std::pair{"BZh91AY"sv, "bzip2"}, std::pair{"PK\x03\x04 and more"sv, "zip"}}) {
    try {
      static_cast<void>(make_decompressor(bytes));
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(std::string("found ") + name), std::string::npos) << error.what();
    }
  }
}

TEST(MayBeCompressedTest, OnlyBeginningsOfTheMagicNumbersNeedMore) {
  for (const char* more : {"", "\x1f", "\x28", "\x28\xb5", "\x28\xb5\x2f"})
    EXPECT_TRUE(may_be_compressed(more)) << more;
  for (const char* enough : {"{", "\x1f\x8b", "\x1f{", "\x28\xb5\x2f\xfd", "(a"}) {
    EXPECT_FALSE(may_be_compressed(enough)) << enough;
  }
}

}  // namespace
}  // namespace prm_score
