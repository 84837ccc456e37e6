#include "prm_score/cli/messages.h"

#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace prm_score {
namespace {

TEST(Printable, SpellsOutWhatATerminalWouldObey) {
  EXPECT_EQ(printable("plain, \xC3\xA9 \xE6\x9D\xB1, \\x"), "plain, \xC3\xA9 \xE6\x9D\xB1, \\x");
  EXPECT_EQ(printable("\x1b[31mred\x07\r\n\t\x7f"), "\\x1b[31mred\\x07\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xE2\x80\xAE \xD8\x9C \xE2\x81\xA9 \xE2\x80\x94 \xE2\x80"),
            "\\u202e \\u061c \\u2069 \xE2\x80\x94 \xE2\x80");
  EXPECT_EQ(printable("\xC2\x9B[31m \xC2\xA0 \xC2"), "\\x9b[31m \xC2\xA0 \xC2");
}

TEST(Messages, AreOnePrintableLine) {
  testing::internal::CaptureStderr();
  print_error("\x1b[2Jtwo\nlines");
  set_up_logging("info");
  spdlog::info("{}: {}", "name\x1b", 3);
  spdlog::default_logger()->flush();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "prm-score: \\x1b[2Jtwo lines\nprm-score: name\\x1b: 3\n");
}

TEST(StatusLine, MakesRoomForMessages) {
  set_up_logging("info");
  testing::internal::CaptureStderr();
  show_status_line("one");
  spdlog::info("message");
  print_error("error");
  show_status_line("two");
  show_status_line("");
  show_status_line("");
  spdlog::info("end");
  EXPECT_EQ(
      testing::internal::GetCapturedStderr(),
      "\rone\x1b[K\r\x1b[Kprm-score: message\none\r\x1b[Kprm-score: error\none\rtwo\x1b[K\r\x1b[Kprm-score: end\n");
}

TEST(StatusLine, InAHandlerIsErasedIfItIsThere) {
  testing::internal::CaptureStderr();
  erase_status_line_in_handler();
  show_status_line("one");
  erase_status_line_in_handler();
  show_status_line("");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "\rone\x1b[K\r\x1b[K\r\x1b[K");
}

TEST(StatusLine, OfManyThreadsLeavesMessagesWhole) {
  set_up_logging("info");
  testing::internal::CaptureStderr();
  const auto say = [](const char* message) {
    for (int i = 0; i < 500; ++i) spdlog::info("{}", message);
  };
  std::thread first(say, "first"), second(say, "second");
  for (int i = 0; i < 500; ++i) show_status_line("status " + std::to_string(i));
  first.join();
  second.join();
  show_status_line("");
  // With the status lines taken out: what is behind the last "\r" or "erase" of a line is what stays.
  const std::string output = testing::internal::GetCapturedStderr();
  int num_messages = 0;
  for (size_t begin = 0, end = 0; (end = output.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = output.substr(begin, end - begin);
    const size_t erased = line.rfind("\x1b[K");
    const std::string shown = erased == std::string::npos ? line : line.substr(erased + 3);
    EXPECT_TRUE(shown == "prm-score: first" || shown == "prm-score: second") << line;
    ++num_messages;
  }
  EXPECT_EQ(num_messages, 1000);
}

// Standard error as a pipe that nobody reads and that is full.
class FullStandardError {
 public:
  FullStandardError() : saved_(dup(STDERR_FILENO)) {
    EXPECT_EQ(pipe2(pipe_, O_NONBLOCK), 0);
    const std::string block(4096, 'x');
    while (write(pipe_[1], block.data(), block.size()) > 0) {
    }
    fcntl(pipe_[1], F_SETFL, 0);  // writers wait
    dup2(pipe_[1], STDERR_FILENO);
  }
  ~FullStandardError() {
    dup2(saved_, STDERR_FILENO);
    for (const int fd : {saved_, pipe_[0], pipe_[1]}) close(fd);
  }
  FullStandardError(const FullStandardError&) = delete;
  FullStandardError& operator=(const FullStandardError&) = delete;

 private:
  int saved_;
  int pipe_[2] = {-1, -1};
};

TEST(StatusLine, DoesNotWaitForAReader) {
  const FullStandardError full;
  EXPECT_FALSE(can_print_at_once());
  show_status_line("one");  // or this test would not end
}

}  // namespace
}  // namespace prm_score
