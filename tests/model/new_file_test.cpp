#include "prm_score/model/new_file.h"

#include <filesystem>
#include <string>

#include "checkpoint_builder.h"
#include <gtest/gtest.h>

#include "prm_score/model/mapped_file.h"

namespace prm_score {
namespace {

TEST(NewFile, HasWhatIsWritten) {
  const TempFolder folder;
  folder.write("f", "what was there before, which is longer");
  write_new_file(folder / "f", "new");
  EXPECT_EQ(MappedFile(folder / "f").text(), "new");
}

TEST(NewFile, DoesNotFollowALink) {
  const TempFolder folder;
  folder.write("kept", "kept");
  std::filesystem::create_symlink("kept", folder / "link");
  const std::string name = (folder / "link").string();
  EXPECT_EQ(error_of([&] { write_new_file(name, "new"); }),
            name + ": cannot be written: Too many levels of symbolic links");
  EXPECT_EQ(MappedFile(folder / "kept").text(), "kept");
}

TEST(NewFile, NamesWhatCannotBeWritten) {
  const TempFolder folder;
  const std::string name = (folder / "nowhere/f").string();
  EXPECT_EQ(error_of([&] { NewFile{name}; }), name + ": cannot be written: No such file or directory");
  EXPECT_EQ(error_of([&] { write_new_file("/dev/full", "x"); }),
            "/dev/full: cannot be written: No space left on device");
}

}  // namespace
}  // namespace prm_score
