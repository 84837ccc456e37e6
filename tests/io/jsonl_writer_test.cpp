#include "prm_score/io/jsonl_writer.h"

#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace prm_score {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Reads from `fd` to its end, slowly enough for writes to fill the pipe.
std::string read_slowly(int fd) {
  std::string bytes;
  char block[4096];
  for (ssize_t num_read = 0; (num_read = read(fd, block, sizeof(block))) > 0;) {
    bytes.append(block, static_cast<size_t>(num_read));
    if (bytes.size() < 200'000) usleep(500);
  }
  return bytes;
}

class JsonlWriterPipeTest : public testing::TestWithParam<int> {};

TEST_P(JsonlWriterPipeTest, LongRowsArriveWhole) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, GetParam()), 0);
  fcntl(ends[0], F_SETFL, 0);  // the reading end blocks
  std::string received;
  std::thread reader([&] { received = read_slowly(ends[0]); });
  std::string expected;
  JsonlWriter writer(ends[1], "pipe");
  for (size_t i = 0; i < 20; ++i) {
    const std::string row(i * 10'000, static_cast<char>('a' + i));
    writer.write(row);
    expected += row;
  }
  close(ends[1]);
  reader.join();
  close(ends[0]);
  EXPECT_TRUE(received == expected) << received.size() << " bytes, expected " << expected.size();
}

INSTANTIATE_TEST_SUITE_P(BlockingAndNot, JsonlWriterPipeTest, testing::Values(0, O_NONBLOCK));

TEST(JsonlWriter, AFullDiskIsAnErrorThatNamesTheOutput) {
  const int fd = open("/dev/full", O_WRONLY);
  JsonlWriter writer(fd, "standard output");
  EXPECT_EQ(message_of([&] { writer.write("{}\n"); }), "standard output: cannot be written: No space left on device");
  close(fd);
}

class JsonlWriterFileTest : public testing::TestWithParam<int> {};

TEST_P(JsonlWriterFileTest, ARowThatHasNoRoomIsTakenBack) {
  const std::string path = testing::TempDir() + "jsonl_writer_test." + std::to_string(getpid());
  std::ofstream(path) << "{\"line\":0}\n";
  const int fd = open(path.c_str(), O_WRONLY | GetParam());
  if (GetParam() == 0) lseek(fd, 0, SEEK_END);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit limit = {.rlim_cur = 30, .rlim_max = before.rlim_max};
  std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &limit);
  JsonlWriter writer(fd, "rows");
  const std::string message = message_of([&] { writer.write("{\"line\":1}\n{\"line\":2}\n"); });
  setrlimit(RLIMIT_FSIZE, &before);
  close(fd);
  std::ifstream in(path);
  const std::string left{std::istreambuf_iterator<char>(in), {}};
  unlink(path.c_str());
  EXPECT_EQ(message, "rows: cannot be written: File too large");
  EXPECT_EQ(left, "{\"line\":0}\n{\"line\":1}\n");
}

INSTANTIATE_TEST_SUITE_P(AtItsPlaceAndAppended, JsonlWriterFileTest, testing::Values(0, O_APPEND));

TEST(JsonlWriter, AClosedPipeIsAnErrorOfItsOwn) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  JsonlWriter writer(ends[1], "pipe");
  EXPECT_THROW(writer.write("{}\n"), ClosedPipe);
  close(ends[1]);
}

TEST(JsonlWriter, WhatIsNotOpenForWritingIsRefusedAtOnce) {
  EXPECT_EQ(message_of([] { JsonlWriter(9999, "x"); }), "x: cannot be written: Bad file descriptor");
  const int fd = open("/dev/null", O_RDONLY);
  EXPECT_EQ(message_of([&] { JsonlWriter(fd, "x"); }), "x: cannot be written: Bad file descriptor");
  close(fd);
}

TEST(JsonlWriter, FinishLeavesTheDescriptorOpen) {
  const int fd = open("/dev/null", O_WRONLY);
  JsonlWriter writer(fd, "x");
  writer.finish();
  writer.write("{}\n");
  EXPECT_EQ(close(fd), 0);
}

TEST(JsonlWriter, AStopEndsTheWaitForAReaderWhoHasStalled) {
  int ends[2], stop[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(pipe(stop), 0);
  JsonlWriter writer(ends[1], "pipe", stop[0]);
  std::thread stopper([&] {
    usleep(50'000);
    EXPECT_EQ(write(stop[1], "x", 1), 1);
  });
  EXPECT_THROW(writer.write(std::string(1'000'000, 'a')), StalledOutput);
  stopper.join();
  for (const int fd : {ends[0], ends[1], stop[0], stop[1]}) close(fd);
}

TEST(JsonlWriter, AStopDoesNotCutARowThatSomebodyReads) {
  int ends[2], stop[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(pipe(stop), 0);
  ASSERT_EQ(write(stop[1], "x", 1), 1);
  std::string received;
  std::thread reader([&] { received = read_slowly(ends[0]); });
  JsonlWriter writer(ends[1], "pipe", stop[0]);
  writer.write(std::string(300'000, 'a'));
  close(ends[1]);
  reader.join();
  EXPECT_EQ(received.size(), 300'000U);
  for (const int fd : {ends[0], stop[0], stop[1]}) close(fd);
}

}  // namespace
}  // namespace prm_score
