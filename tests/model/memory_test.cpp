#include "prm_score/model/memory.h"

#include "checkpoint_builder.h"
#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(AvailableMemoryTest, IsTheLesserOfSystemAndGroup) {
  const TempFolder folder;
  EXPECT_EQ(available_memory_bytes(folder.path(), folder.path()), INT64_MAX);
  folder.write("meminfo", "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:    4000 kB\n");
  EXPECT_EQ(available_memory_bytes(folder.path(), folder.path()), 4000 * 1024);
  folder.write("memory.max", "max\n");
  folder.write("memory.current", "1000000\n");
  EXPECT_EQ(available_memory_bytes(folder.path(), folder.path()), 4000 * 1024);
  folder.write("memory.max", "3000000\n");
  EXPECT_EQ(available_memory_bytes(folder.path(), folder.path()), 2000000);
  folder.write("memory.stat", "anon 7\nactive_file 100\ninactive_file 20\n");  // page cache can be given back
  EXPECT_EQ(available_memory_bytes(folder.path(), folder.path()), 2000120);
}

TEST(AvailableMemoryTest, ThisMachineHasSome) { EXPECT_GT(available_memory_bytes(), 1 << 20); }

}  // namespace
}  // namespace prm_score
