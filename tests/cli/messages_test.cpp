#include "prm_score/cli/messages.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

namespace prm_score {
namespace {

TEST(Printable, SpellsOutWhatATerminalWouldObey) {
  EXPECT_EQ(printable("plain, \xC3\xA9 \xE6\x9D\xB1, \\x"), "plain, \xC3\xA9 \xE6\x9D\xB1, \\x");
  EXPECT_EQ(printable("\x1b[31mred\x07\r\n\t\x7f"), "\\x1b[31mred\\x07\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
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

}  // namespace
}  // namespace prm_score
