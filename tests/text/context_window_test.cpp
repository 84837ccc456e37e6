#include "prm_score/text/context_window.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(ContextWindow, HoldsEverythingUntilItMoves) {
  const ContextWindow window(/*num_field_tokens=*/10, /*chunk_size=*/4, /*max_context=*/100);
  EXPECT_EQ(window.field_begin(), 0);
  EXPECT_EQ(window.ids_begin(), 0);
  EXPECT_EQ(window.num_tokens(8), 18);
  EXPECT_FALSE(window.is_cut());
}

TEST(ContextWindow, MovesByHalfAContextInWholeUnits) {
  ContextWindow window(0, 4, /*max_context=*/19);  // floor(19 / 2 / 4) = 2 units of 4 tokens
  EXPECT_TRUE(window.fits(16));
  EXPECT_FALSE(window.fits(20));
  window.move_on();
  EXPECT_EQ(window.ids_begin(), 8);
  EXPECT_EQ(window.num_tokens(20), 12);
  EXPECT_TRUE(window.is_cut());
}

TEST(ContextWindow, FieldComesFirstAndItsLastUnitMayBeShort) {
  ContextWindow window(/*num_field_tokens=*/10, 4, /*max_context=*/8);  // one unit at a time
  window.move_on();
  window.move_on();
  EXPECT_EQ(window.field_begin(), 8);  // the unit of 2 tokens
  EXPECT_EQ(window.num_tokens(4), 2 + 4);
  window.move_on();
  EXPECT_EQ(window.field_begin(), 10);
  EXPECT_EQ(window.ids_begin(), 0);
  EXPECT_EQ(window.num_tokens(4), 4);
  window.move_on();
  EXPECT_EQ(window.ids_begin(), 4);
}

TEST(ContextWindow, BeginBehindTheChunkIsAnEmptyContext) {
  ContextWindow window(0, 4, /*max_context=*/40);  // 5 units
  window.move_on();
  EXPECT_EQ(window.ids_begin(), 20);
  EXPECT_EQ(window.num_tokens(16), 0);
  EXPECT_EQ(window.num_tokens(24), 4);
}

TEST(ContextWindow, NoContextAtAllMovesUnitByUnit) {
  ContextWindow window(0, 4, /*max_context=*/0);
  EXPECT_TRUE(window.fits(0));
  EXPECT_FALSE(window.fits(4));
  window.move_on();
  EXPECT_TRUE(window.fits(4));
}

}  // namespace
}  // namespace prm_score
