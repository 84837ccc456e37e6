#include "prm_score/cli/kept_fields.h"

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

std::string warning(std::vector<std::string> names, std::initializer_list<const char*> lines) {
  KeptFields fields(std::move(names));
  for (const char* line : lines) {
    RowOrigin origin;
    origin.input_json = line;
    fields.add(origin);
  }
  return fields.warning();
}

TEST(KeptFieldsTest, WhatNoLineHasIsNamed) {
  EXPECT_EQ(warning({"lable"}, {"{}", "{}"}), "--keep: no line had the field \"lable\"");
  EXPECT_EQ(warning({"a", "b", "\"c\""}, {R"({"b":1})", "{}"}),
            R"(--keep: no line had any of the fields "a", "\"c\"")");
}

TEST(KeptFieldsTest, OneLineIsEnough) {
  EXPECT_EQ(warning({"a", "b"}, {"{}", R"({"a":null})", R"({"b":{"a":2}})"}), "");
  EXPECT_NE(warning({"a", "b"}, {R"({"b":{"a":2}})"}), "");  // not within another one
}

TEST(KeptFieldsTest, WithoutLinesNothingIsKnown) {
  EXPECT_EQ(warning({"a"}, {}), "");
  EXPECT_EQ(warning({"a"}, {""}), "");  // a line that is no object
  EXPECT_EQ(warning({}, {"{}"}), "");
}

}  // namespace
}  // namespace prm_score
