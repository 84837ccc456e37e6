// The kernels are chosen by what the system says of the processor: one that was forgotten would only be slow.
#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "prm_score/model/int8_products.h"
#include "prm_score/model/panel_products.h"

namespace prm_score {
namespace {

// Of the first processor of /proc/cpuinfo.
std::set<std::string> processor_flags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    std::set<std::string> flags;
    for (std::string flag; words >> flag;) flags.insert(flag);
    return flags;
  }
  return {};
}

class InstructionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (flags_.empty()) GTEST_SKIP() << "/proc/cpuinfo has no flags";
  }

  [[nodiscard]] bool has(std::initializer_list<const char*> flags) const {
    return std::ranges::all_of(flags, [&](const char* flag) { return flags_.contains(flag); });
  }

  std::set<std::string> flags_ = processor_flags();
};

TEST_F(InstructionsTest, PanelsAreMultipliedWithAllThereIs) {
  std::vector<PanelInstructions> expected = {PanelInstructions::kPortable};
  if (has({"avx2", "fma"})) expected.push_back(PanelInstructions::kAvx2);
  if (has({"avx2", "fma", "avx512f"})) expected.push_back(PanelInstructions::kAvx512);
  EXPECT_EQ(panel_instructions(), expected);
}

TEST_F(InstructionsTest, IntegersAreMultipliedWithAllThereIs) {
  std::vector<Int8Instructions> expected = {Int8Instructions::kPortable}, found = int8_instructions();
  if (has({"avx2"})) expected.push_back(Int8Instructions::kAvx2);
  if (has({"avx512_vnni", "avx512bw"})) expected.push_back(Int8Instructions::kAvx512Vnni);
  if (has({"avx512_vnni", "avx512bw", "amx_tile", "amx_int8"})) {
    std::erase(found, Int8Instructions::kAmx);  // the system may refuse it nevertheless
  }
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace prm_score
