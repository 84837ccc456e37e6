#include "prm_score/io/replace_file.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include <gtest/gtest.h>
#include <unistd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

class ReplaceFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("replace_file_test." + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::string read_file(const fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  static std::string message_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(ReplaceFileTest, WritesAndReplacesAndLeavesNothingBeside) {
  const auto path = folder_ / "a";
  replace_file(path.string(), "one");
  EXPECT_EQ(read_file(path), "one");
  replace_file(path.string(), "2");
  EXPECT_EQ(read_file(path), "2");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(ReplaceFileTest, FollowsLinks) {
  fs::create_directories(folder_ / "real");
  replace_file((folder_ / "real" / "a").string(), "old");
  fs::create_symlink("real/a", folder_ / "link");
  replace_file((folder_ / "link").string(), "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_file(folder_ / "real" / "a"), "new");
}

TEST_F(ReplaceFileTest, DevicesAreWrittenToAndNotReplaced) {
  replace_file("/dev/null", "x");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(message_of([] { replace_file("/dev/full", "x"); }),
            "/dev/full: cannot be written: No space left on device");
}

TEST_F(ReplaceFileTest, FailuresNameTheFile) {
  const auto path = (folder_ / "no" / "a").string();
  EXPECT_EQ(message_of([&] { replace_file(path, "x"); }), path + ": cannot be written: No such file or directory");
}

TEST_F(ReplaceFileTest, SureFailuresAreFoundBefore) {
  const auto check = [](const std::string& path) { return message_of([&] { check_replaceable(path); }); };
  EXPECT_EQ(check((folder_ / "new").string()), "");
  EXPECT_EQ(check("new-in-this-folder"), "");
  EXPECT_EQ(check("/dev/null"), "");
  EXPECT_EQ(check(folder_.string()), folder_.string() + ": cannot be written: Is a directory");
  const auto path = (folder_ / "no" / "a").string();
  EXPECT_EQ(check(path), path + ": cannot be written: No such file or directory");
  EXPECT_FALSE(fs::exists(folder_ / "new"));
}

}  // namespace
}  // namespace prm_score
