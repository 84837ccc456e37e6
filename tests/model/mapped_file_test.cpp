#include "prm_score/model/mapped_file.h"

#include <filesystem>
#include <utility>

#include "checkpoint_builder.h"
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace prm_score {
namespace {

TEST(MappedFile, ShowsTheBytesOfTheFile) {
  const TempFolder folder;
  folder.write("a", std::string("x\0y", 3));
  EXPECT_EQ(MappedFile(folder / "a").text(), std::string_view("x\0y", 3));
}

TEST(MappedFile, EmptyFileIsEmpty) {
  const TempFolder folder;
  folder.write("a", "");
  EXPECT_TRUE(MappedFile(folder / "a").bytes().empty());
}

TEST(MappedFile, BytesStayWhereTheyAreWhenMoved) {
  const TempFolder folder;
  folder.write("a", "abc");
  MappedFile first(folder / "a");
  const std::byte* address = first.bytes().data();
  MappedFile second = std::move(first);
  EXPECT_EQ(second.bytes().data(), address);
  EXPECT_EQ(second.text(), "abc");
  // What a moved-from file holds is the claim.
  EXPECT_TRUE(first.bytes().empty());  // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move)
}

TEST(MappedFile, FollowsSymlinksToRegularFiles) {
  const TempFolder folder;
  folder.write("a", "abc");
  std::filesystem::create_symlink("a", folder / "b");
  EXPECT_EQ(MappedFile(folder / "b").text(), "abc");
}

TEST(MappedFile, NoticesThatItIsWrittenTo) {
  const TempFolder folder;
  folder.write("a", "abc");
  const MappedFile file(folder / "a");
  EXPECT_NO_THROW(file.expect_unchanged());
  usleep(20'000);  // file systems count in ticks
  folder.write("a", "xyz");
  EXPECT_EQ(error_of([&] { file.expect_unchanged(); }),
            (folder / "a").string() +
                ": expected the file as it was when it was opened, found that it was written to meanwhile");
}

TEST(MappedFile, AFileThatTookOverItsNameIsNoMatter) {
  const TempFolder folder;
  folder.write("a", "abc");
  folder.write("b", "xyz");
  const MappedFile file(folder / "a");
  std::filesystem::rename(folder / "b", folder / "a");
  EXPECT_NO_THROW(file.expect_unchanged());
  EXPECT_EQ(file.text(), "abc");
}

TEST(MappedFile, FindsThePathOfAnAddress) {
  const TempFolder folder;
  folder.write("a", "abc");
  const std::byte* begin = nullptr;
  {
    const MappedFile file(folder / "a");
    begin = file.bytes().data();
    EXPECT_EQ(MappedFile::path_at(begin + 2), (folder / "a").string());
    EXPECT_EQ(MappedFile::path_at(begin + 3), nullptr);
    EXPECT_EQ(MappedFile::path_at(&folder), nullptr);
  }
  EXPECT_EQ(MappedFile::path_at(begin), nullptr);
}

TEST(MappedFile, RefusesWhatIsNoRegularFileWithoutOpeningIt) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", folder / "device");
  std::filesystem::create_symlink("nowhere", folder / "dangling");
  const auto error = [&](const char* name) { return error_of([&] { MappedFile(folder / name); }); };
  const std::string prefix = folder.path().string() + "/";
  EXPECT_EQ(error("fifo"), prefix + "fifo: expected a regular file, found a FIFO");  // opening it would block for ever
  EXPECT_EQ(error("device"), prefix + "device: expected a regular file, found a device");
  EXPECT_EQ(error("."), prefix + ".: expected a regular file, found a folder");
  EXPECT_EQ(error("dangling"), prefix + "dangling: cannot open: No such file or directory");
}

}  // namespace
}  // namespace prm_score
