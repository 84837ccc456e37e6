#include "prm_score/io/line_reader.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

class LineReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("line_reader_test." + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write_file(const std::string& name, std::string_view bytes) {
    const auto path = folder_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path.string();
  }

  // `number:bytes`, or `number:TOO LONG`.
  static std::vector<std::string> read_all(LineReaderOptions options) {
    LineReader reader(std::move(options));
    std::vector<std::string> lines;
    while (const auto line = reader.next()) {
      lines.push_back(std::to_string(line->number) + ":" + (line->is_too_long ? "TOO LONG" : std::string(line->bytes)));
    }
    return lines;
  }

  static std::string error_of(const LineReaderOptions& options) {
    try {
      (void)read_all(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

using Lines = std::vector<std::string>;

TEST_F(LineReaderTest, OnlyLineFeedEndsALine) {
  const auto file = write_file("a",
                               "a\xE2\x80\xA8"
                               "b\xC2\x85"
                               "c\rd\ve\fg\nh\n");
  EXPECT_EQ(read_all({.files = {file}}), (Lines{"1:a\xE2\x80\xA8"
                                                "b\xC2\x85"
                                                "c\rd\ve\fg",
                                                "2:h"}));
}

TEST_F(LineReaderTest, OneCarriageReturnBeforeLineFeedIsDropped) {
  const auto file = write_file("a", "a\r\nb\r\r\n\r\nc\r");
  EXPECT_EQ(read_all({.files = {file}}), (Lines{"1:a", "2:b\r", "3:", "4:c\r"}));
}

TEST_F(LineReaderTest, LastLineNeedsNoLineFeed) {
  EXPECT_EQ(read_all({.files = {write_file("a", "a\nb")}}), (Lines{"1:a", "2:b"}));
  EXPECT_EQ(read_all({.files = {write_file("b", "a\nb\n")}}), (Lines{"1:a", "2:b"}));
  EXPECT_EQ(read_all({.files = {write_file("c", "\n\n")}}), (Lines{"1:", "2:"}));
  EXPECT_EQ(read_all({.files = {write_file("d", "")}}), Lines{});
}

TEST_F(LineReaderTest, ByteOrderMarkIsDroppedAtTheStartOfEachFileOnly) {
  const auto a = write_file("a",
                            "\xEF\xBB\xBF"
                            "a\n\xEF\xBB\xBF"
                            "b\n");
  const auto b = write_file("b",
                            "\xEF\xBB\xBF\xEF\xBB\xBF"
                            "c");
  EXPECT_EQ(read_all({.files = {a, b}}), (Lines{"1:a",
                                                "2:\xEF\xBB\xBF"
                                                "b",
                                                "1:\xEF\xBB\xBF"
                                                "c"}));
}

TEST_F(LineReaderTest, EndOfFileEndsALineAndNumbersStartAgain) {
  const auto a = write_file("a", "a1\na2");
  const auto b = write_file("b", "");
  const auto c = write_file("c", "c1\n");
  LineReader reader({.files = {a, b, c}});
  std::vector<std::pair<size_t, int64_t>> places;
  while (const auto line = reader.next()) places.emplace_back(line->file_index, line->number);
  EXPECT_EQ(places, (std::vector<std::pair<size_t, int64_t>>{{0, 1}, {0, 2}, {2, 1}}));
  EXPECT_EQ(reader.num_lines(), 3);
}

TEST_F(LineReaderTest, LimitCountsPhysicalLinesOverAllFiles) {
  const auto a = write_file("a", "a1\n\na3\n");
  const auto b = write_file("b", "b1\nb2\n");
  EXPECT_EQ(read_all({.files = {a, b}, .limit = 4}), (Lines{"1:a1", "2:", "3:a3", "1:b1"}));
  EXPECT_EQ(read_all({.files = {a, b}, .limit = 3}), (Lines{"1:a1", "2:", "3:a3"}));
  EXPECT_EQ(read_all({.files = {a, b}, .limit = 0}), Lines{});
}

TEST_F(LineReaderTest, OnlyLinesOverTheLimitAreTooLong) {
  // The limit counts neither CR LF nor the byte order mark, wherever a block ends.
  for (const size_t max_line_bytes : {size_t{10}, size_t{256} << 10, (size_t{256} << 10) - 1, size_t{600'000}}) {
    const std::string fits(max_line_bytes, 'x');
    const auto file = write_file("a", "\xEF\xBB\xBF" + fits + "\r\n" + fits + "y\r\n" + fits + "\n" + fits + "\r\n" +
                                          fits + fits + "\r\r\nz\n" + fits);
    const auto lines = read_all({.files = {file}, .max_line_bytes = static_cast<int64_t>(max_line_bytes)});
    EXPECT_EQ(lines, (Lines{"1:" + fits, "2:TOO LONG", "3:" + fits, "4:" + fits, "5:TOO LONG", "6:z", "7:" + fits}))
        << max_line_bytes;
  }
}

TEST_F(LineReaderTest, LinesCrossBlocksUnchanged) {
  // Lengths around the block size put the line feed, the CR and the start of a line at every place of a block border.
  std::string bytes;
  Lines expected;
  for (size_t i = 0; i < 40; ++i) {
    const std::string line((256 << 10) / 8 - 3 + i % 7, static_cast<char>('a' + i % 26));
    bytes += line + (i % 2 == 0 ? "\r\n" : "\n");
    expected.push_back(std::to_string(i + 1) + ":" + line);
  }
  EXPECT_EQ(read_all({.files = {write_file("a", bytes)}}), expected);
}

TEST_F(LineReaderTest, FilesThatCannotBeReadAreNamedBeforeAnyLineIsRead) {
  const auto good = write_file("good", "a\n");
  const auto missing = (folder_ / "missing").string();
  EXPECT_EQ(error_of({.files = {good, missing}, .limit = 0}), missing + ": cannot be read: No such file or directory");
  EXPECT_EQ(error_of({.files = {good, folder_.string()}}), folder_.string() + ": cannot be read: Is a directory");
  if (geteuid() != 0) {
    const auto secret = write_file("secret", "a\n");
    fs::permissions(secret, fs::perms::none);
    EXPECT_EQ(error_of({.files = {secret}}), secret + ": cannot be read: Permission denied");
  }
}

TEST_F(LineReaderTest, AReadErrorNamesTheFile) {
  // /proc/self/mem exists and opens, but its first page cannot be read.
  EXPECT_EQ(error_of({.files = {"/proc/self/mem"}}), "/proc/self/mem: cannot be read: Input/output error");
}

TEST_F(LineReaderTest, AFileThatVanishesIsAnErrorWhenItIsReached) {
  const auto a = write_file("a", "a\n");
  const auto b = write_file("b", "b\n");
  LineReader reader({.files = {a, b}});
  ASSERT_TRUE(reader.next());
  fs::remove(b);
  EXPECT_THROW((void)reader.next(), Error);
}

TEST_F(LineReaderTest, APipeGivesEachLineAsSoonAsItIsThere) {
  const auto pipe_path = (folder_ / "fifo").string();
  ASSERT_EQ(mkfifo(pipe_path.c_str(), 0600), 0);
  LineReader reader({.files = {pipe_path}, .limit = 2});
  const int writer = open(pipe_path.c_str(), O_RDWR);
  ASSERT_EQ(write(writer, "one\ntw", 6), 6);
  EXPECT_EQ(reader.next()->bytes, "one");  // would hang if a whole block were waited for
  ASSERT_EQ(write(writer, "o\n", 2), 2);
  EXPECT_EQ(reader.next()->bytes, "two");
  EXPECT_FALSE(reader.next());  // the limit; would hang if it read on
  close(writer);
}

TEST_F(LineReaderTest, AStopEndsAWaitAndDropsTheUnfinishedLine) {
  const auto pipe_path = (folder_ / "fifo").string();
  ASSERT_EQ(mkfifo(pipe_path.c_str(), 0600), 0);
  int stop[2];
  ASSERT_EQ(pipe(stop), 0);
  const int writer = open(pipe_path.c_str(), O_RDWR);
  ASSERT_EQ(write(writer, "half a line", 11), 11);
  LineReader reader({.files = {pipe_path}, .stop_fd = stop[0]});
  std::thread stopper([&] {
    usleep(50'000);
    EXPECT_EQ(write(stop[1], "x", 1), 1);
  });
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.was_stopped());
  EXPECT_FALSE(reader.next());
  stopper.join();
  for (const int fd : {writer, stop[0], stop[1]}) close(fd);
}

// "one\ntwo" by gzip and by zstd.
constexpr std::string_view kGzip(
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\xcf\x4b\xe5\x2a\x29\xcf\x07\x00\x75\xc6\x88\x02\x07\x00\x00\x00", 27);
constexpr std::string_view kZstd("\x28\xb5\x2f\xfd\x04\x58\x39\x00\x00\x6f\x6e\x65\x0a\x74\x77\x6f\x95\x55\xa3\x19",
                                 20);

TEST_F(LineReaderTest, CompressedFilesAreReadByWhatTheyAre) {
  const auto plain = write_file("plain.gz", "one\ntwo\n");
  const auto gzip = write_file("gzip.jsonl", kGzip), zstd = write_file("zstd", kZstd);
  EXPECT_EQ(read_all({.files = {gzip, plain, zstd}}),
            (std::vector<std::string>{"1:one", "2:two", "1:one", "2:two", "1:one", "2:two"}));
}

TEST_F(LineReaderTest, ACompressedFileThatIsCutOffGivesItsLinesAndThenAnError) {
  const auto name = write_file("cut", kGzip.substr(0, 22));
  LineReader reader({.files = {name}});
  ASSERT_EQ(reader.next()->bytes, "one");
  try {
    static_cast<void>(reader.next());
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              name + ": cannot be read: gzip: expected more bytes, found the end of the file");
  }
}

TEST_F(LineReaderTest, DamagedAndUnreadableFormatsNameTheFile) {
  std::string damaged(kGzip);
  damaged[12] ^= 0x55;
  const auto name = write_file("damaged", damaged);
  EXPECT_TRUE(error_of({.files = {name}}).starts_with(name + ": cannot be read: gzip: "))
      << error_of({.files = {name}});
  const auto xz = write_file("docs.xz", std::string_view("\xfd\x37\x7a\x58\x5a\x00\x00\x04", 8));
  EXPECT_EQ(error_of({.files = {xz}}), xz + ": expected JSON lines, plain or compressed by gzip or zstd, found xz");
}

TEST_F(LineReaderTest, ABeginningLikeThatOfACompressedFileIsNotWaitedFor) {
  EXPECT_EQ(read_all({.files = {write_file("short", "(")}}), (std::vector<std::string>{"1:("}));
  EXPECT_EQ(read_all({.files = {write_file("text", "\x1f text\n")}}), (std::vector<std::string>{"1:\x1f text"}));
}

// What sha256sum says of the lines so far, each with one LF.
TEST_F(LineReaderTest, CountsTheBytesThatItsLinesTookOfAllThereAre) {
  const auto first = write_file("first", "\xEF\xBB\xBFone\r\n\n"), second = write_file("second", "two");
  LineReader reader({.files = {first, second}});
  EXPECT_EQ(reader.total_input_bytes(), 12);
  EXPECT_EQ(reader.num_input_bytes(), 0);
  std::vector<int64_t> bytes;
  while (reader.next()) bytes.push_back(reader.num_input_bytes());
  EXPECT_EQ(bytes, (std::vector<int64_t>{8, 9, 12}));
}

TEST_F(LineReaderTest, CountsCompressedBytesAsTheyLieThere) {
  const auto file = write_file("a.gz", kGzip);
  LineReader reader({.files = {file}});
  EXPECT_EQ(reader.total_input_bytes(), std::ssize(kGzip));
  while (reader.next()) EXPECT_LE(reader.num_input_bytes(), std::ssize(kGzip));
  EXPECT_EQ(reader.num_input_bytes(), std::ssize(kGzip));
}

TEST_F(LineReaderTest, TheSizeOfAPipeIsNotKnown) {
  const auto pipe = (folder_ / "pipe").string(), file = write_file("file", "one\n");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(LineReader({.files = {file, pipe}}).total_input_bytes(), std::nullopt);
  EXPECT_EQ(LineReader({.files = {file}}).total_input_bytes(), 4);
}

TEST_F(LineReaderTest, AShardIsEveryNthPhysicalLineOverAllFiles) {
  const auto a = write_file("a", "a1\r\n\na3"), empty = write_file("empty", ""), b = write_file("b", "b1\n \nb3\nb4\n");
  const std::vector<std::string> files = {a, empty, b};
  EXPECT_EQ(read_all({.files = files, .shard = {.number = 0, .num_shards = 2}}),
            (Lines{"1:a1", "3:a3", "2: ", "4:b4"}));
  EXPECT_EQ(read_all({.files = files, .shard = {.number = 1, .num_shards = 2}}), (Lines{"2:", "1:b1", "3:b3"}));
  EXPECT_EQ(read_all({.files = files, .limit = 5, .shard = {.number = 1, .num_shards = 4}}), Lines{"2:"});
  EXPECT_EQ(read_all({.files = files, .limit = 5, .shard = {.number = 0, .num_shards = 4}}), (Lines{"1:a1", "2: "}));
  EXPECT_EQ(read_all({.files = files, .shard = {.number = 7, .num_shards = 8}}), Lines{});
}

TEST_F(LineReaderTest, OtherShardsLinesAreCountedAndHashed) {
  const auto a = write_file("a", "a1\na2\n"), b = write_file("b", "b1\nb2\nb3");
  LineReader reader({.files = {a, b}, .shard = {.number = 2, .num_shards = 3}, .hash = true});
  const auto line = reader.next();
  ASSERT_TRUE(line);
  EXPECT_EQ(line->number, 1);
  EXPECT_EQ(line->file_index, 1u);
  EXPECT_EQ(line->input_sha256, sha256_hex("a1\na2\nb1\n"));
  EXPECT_EQ(reader.num_lines(), 3);
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.num_lines(), 5);
  EXPECT_EQ(reader.num_lines_of_files(), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(reader.input_sha256(), sha256_hex("a1\na2\nb1\nb2\nb3\n"));
}

TEST_F(LineReaderTest, GivesTheHashOfAllLinesSoFar) {
  const auto first = write_file("first", "a\r\n\nlast"), second = write_file("second",
                                                                             "\xEF\xBB\xBF"
                                                                             "b\n");
  LineReader reader({.files = {first, second}, .max_line_bytes = 3, .hash = true});
  for (const char* so_far : {"a\r\n", "a\r\n\n", "a\r\n\nlast\n",
                             "a\r\n\nlast\n\xEF\xBB\xBF"
                             "b\n"}) {
    EXPECT_EQ(reader.next()->input_sha256, sha256_hex(so_far));  // of the line that is too long, too
  }
  EXPECT_FALSE(reader.next());
  LineReader without({.files = {first}});
  EXPECT_EQ(without.next()->input_sha256, "");
}

}  // namespace
}  // namespace prm_score
