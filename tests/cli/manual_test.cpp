#include "prm_score/cli/manual.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "prm_score/cli/command_table.h"
#include "prm_score/cli/option_table.h"

namespace prm_score {
namespace {

std::string with_roff_dashes(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += c == '-' ? "\\-" : c == '\\' ? "\\e" : std::string(1, c);
  return escaped;
}

TEST(Manual, HasEveryCommandAndOptionWithItsHelp) {
  const std::string page = manual_page();
  for (const auto& command : command_table()) {
    EXPECT_NE(page.find("\n" + with_roff_dashes(command.help)), std::string::npos) << command.name;
  }
  for (const auto& option : option_table()) {
    const std::string short_name =
        *option.short_name == '\0' ? "" : with_roff_dashes(std::string("-") + option.short_name) + "\\fR, \\fB";
    const std::string name = with_roff_dashes(std::string("--") + option.name);
    EXPECT_NE(page.find(".TP\n\\fB" + short_name + name + "\\fR"), std::string::npos) << option.name;
    EXPECT_NE(page.find("\n" + with_roff_dashes(option.help)), std::string::npos) << option.name;
    if (*option.other_help.help == '\0') continue;
    EXPECT_NE(page.find(": " + with_roff_dashes(option.other_help.help)), std::string::npos) << option.name;
  }
}

TEST(Manual, SaysWhichCommandsAnOptionBelongsTo) {
  const std::string page = manual_page();
  const size_t resume = page.find("\\-\\-resume\\fR");
  ASSERT_NE(resume, std::string::npos);
  EXPECT_EQ(page.find("Of \\fBprm\\-score\\fR and \\fBprm\\-score merge\\fR only.", resume), page.find("Of ", resume));
  const size_t log_level = page.find("\\-\\-log\\-level\\fR");
  EXPECT_EQ(page.find("Of \\fB", log_level), std::string::npos);  // of all commands: says nothing, and is the last
}

TEST(Manual, HasEachHeadingOnce) {
  const std::string page = manual_page();
  std::set<std::string> headings;
  for (size_t begin = page.find("\n.SS "); begin != std::string::npos; begin = page.find("\n.SS ", begin + 1)) {
    const std::string heading = page.substr(begin, page.find('\n', begin + 1) - begin);
    EXPECT_TRUE(headings.insert(heading).second) << heading;
  }
  EXPECT_GT(headings.size(), 3u);
}

// A line that begins so would be a request, and vanish.
TEST(Manual, NoTextIsTakenForARequest) {
  const std::string page = manual_page();
  for (size_t line = 0; line < page.size(); line = page.find('\n', line) + 1) {
    if (page[line] != '.' && page[line] != '\'') continue;
    const std::string request = page.substr(line + 1, 2);
    EXPECT_TRUE(request == "TH" || request == "SH" || request == "SS" || request == "TP" || request == "br") << request;
  }
}

}  // namespace
}  // namespace prm_score
