#include "prm_score/text/code_point_set.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

using Bounds = std::vector<char32_t>;

TEST(CodePointSet, ComplementCoversTheEnds) {
  EXPECT_EQ(CodePointSet::range('a', 'c').complement().bounds(), (Bounds{0, 'a', 'd', kMaxCodePoint + 1}));
  EXPECT_EQ(CodePointSet::all().complement(), CodePointSet());
  EXPECT_EQ(CodePointSet().complement(), CodePointSet::all());
  EXPECT_EQ(CodePointSet::range(0, 'c').complement().complement(), CodePointSet::range(0, 'c'));
}

TEST(CodePointSet, InsertJoinsTouchingAndOverlappingRanges) {
  CodePointSet set = CodePointSet::range('a', 'c');
  set.insert(CodePointSet::range('d', 'f'));
  EXPECT_EQ(set, CodePointSet::range('a', 'f'));
  set.insert(CodePointSet::range('e', 'h'));
  set.insert(CodePointSet::single('x'));
  EXPECT_EQ(set.bounds(), (Bounds{'a', 'i', 'x', 'y'}));
  set.insert(CodePointSet::range(kMaxCodePoint, kMaxCodePoint));
  EXPECT_EQ(set.bounds(), (Bounds{'a', 'i', 'x', 'y', kMaxCodePoint, kMaxCodePoint + 1}));
}

TEST(CodePointSet, ContainsItsRangesOnly) {
  CodePointSet set = CodePointSet::range('b', 'd');
  set.insert(CodePointSet::single('f'));
  for (const char inside : {'b', 'c', 'd', 'f'}) EXPECT_TRUE(set.contains(inside)) << inside;
  for (const char outside : {'a', 'e', 'g'}) EXPECT_FALSE(set.contains(outside)) << outside;
  EXPECT_FALSE(CodePointSet().contains('a'));
}

TEST(CodePointSet, CategoriesAgreeWithGeneralCategory) {
  const auto letters = CodePointSet::general_category("L"), title_case = CodePointSet::general_category("Lt");
  ASSERT_TRUE(letters && title_case);
  for (char32_t code_point = 0; code_point <= kMaxCodePoint; ++code_point) {
    const std::string_view category = general_category(code_point);
    ASSERT_EQ(letters->contains(code_point), category[0] == 'L') << uint32_t{code_point};
    ASSERT_EQ(title_case->contains(code_point), category == "Lt") << uint32_t{code_point};
  }
}

TEST(CodePointSet, UnknownCategoryIsNone) {
  for (const char* name : {"", "X", "Lx", "lu", "LC", "Letter", "Han"}) {
    EXPECT_FALSE(CodePointSet::general_category(name)) << name;
  }
}

}  // namespace
}  // namespace prm_score
