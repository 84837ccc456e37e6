#include "prm_score/cli/completion.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "prm_score/cli/command_table.h"

namespace prm_score {
namespace {

OptionSpec option_with_value(const char* value_name) {
  OptionSpec option = option_table().front();
  option.value_name = value_name;
  return option;
}

TEST(Completion, KindOfValueIsKnownByItsName) {
  EXPECT_EQ(value_kind(option_with_value("")), ValueKind::kFlag);
  EXPECT_EQ(value_kind(option_with_value("a|b")), ValueKind::kWords);
  EXPECT_EQ(value_kind(option_with_value("FILE")), ValueKind::kFile);
  EXPECT_EQ(value_kind(option_with_value("CONFIG")), ValueKind::kFile);
  EXPECT_EQ(value_kind(option_with_value("PATH or ORG/NAME")), ValueKind::kFolder);
  EXPECT_EQ(value_kind(option_with_value("FIELD,..")), ValueKind::kOther);
  EXPECT_EQ(value_kind(option_with_value("N")), ValueKind::kOther);
}

TEST(Completion, PlaceholdersAreNoWords) {
  EXPECT_EQ(value_words(option_with_value("auto|cpu|cuda:N|b")), (std::vector<std::string>{"auto", "cpu", "b"}));
}

TEST(Completion, EveryWordIsAValueOfItsOption) {
  for (const auto& option : option_table()) {
    if (value_kind(option) != ValueKind::kWords) continue;
    const auto words = value_words(option);
    EXPECT_GE(words.size(), 2u) << option.name;
    for (const auto& word : words) {
      Options options;
      EXPECT_TRUE(option.set(options, word)) << option.name << ' ' << word;
    }
  }
}

// Words stand unquoted between spaces or quotes, in three shells.
TEST(Completion, NoNameNeedsQuotes) {
  const auto is_plain = [](const std::string& word) {
    return std::ranges::all_of(word, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; });
  };
  for (const auto& command : command_table()) EXPECT_TRUE(is_plain(command.name)) << command.name;
  for (const auto& option : option_table()) {
    EXPECT_TRUE(is_plain(option.name)) << option.name;
    if (value_kind(option) != ValueKind::kWords) continue;
    for (const auto& word : value_words(option)) EXPECT_TRUE(is_plain(word)) << word;
  }
}

TEST(Completion, EveryScriptKnowsEveryOptionAndCommand) {
  for (const auto& script : {bash_completion(), zsh_completion(), fish_completion()}) {
    for (const auto& option : option_table()) EXPECT_NE(script.find(option.name), std::string::npos) << option.name;
    for (const auto& command : command_table()) EXPECT_NE(script.find(command.name), std::string::npos);
  }
}

}  // namespace
}  // namespace prm_score
