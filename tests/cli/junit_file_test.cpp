#include "prm_score/cli/junit_file.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <pugixml.hpp>

namespace prm_score {
namespace {

CheckResult result_of(const std::string& id_json, std::vector<Difference> differences) {
  CheckResult result{.golden = "g.jsonl", .tolerance = {}, .comparison = {}, .causes = {"dtype: x"}};
  result.comparison.rows = {{.line = 1, .file = {}, .id_json = "7", .differences = {}},
                            {.line = 2, .file = "a", .id_json = id_json, .differences = std::move(differences)}};
  result.comparison.num_moved = 1;
  return result;
}

pugi::xml_document parse(const std::string& xml) {
  pugi::xml_document document;
  EXPECT_TRUE(document.load_string(xml.c_str())) << xml;
  return document;
}

TEST(FormatJunit, HasACaseForEveryRow) {
  const auto document = parse(format_junit(
      result_of("\"b\"", {{"chunk 0", "1", "2", 1.0, 0.1}, {"reward", "1", "2", 1.0, 0.1}}), /*seconds=*/1.5));
  const auto suite = document.child("testsuites").child("testsuite");
  EXPECT_EQ(suite.attribute("tests").as_int(), 2);
  EXPECT_EQ(suite.attribute("failures").as_int(), 1);
  EXPECT_EQ(suite.attribute("errors").as_int(), 0);
  EXPECT_EQ(suite.attribute("time").as_double(), 1.5);
  const auto first = suite.child("testcase"), second = first.next_sibling("testcase");
  EXPECT_STREQ(first.attribute("name").value(), "line 1, 7");
  EXPECT_FALSE(first.child("failure"));
  EXPECT_STREQ(second.attribute("name").value(), "line a:2, \"b\"");
  EXPECT_STREQ(second.attribute("classname").value(), "g.jsonl");
  EXPECT_STREQ(second.child("failure").attribute("message").value(), "chunk 0: 1 in the golden, 2 now");
  EXPECT_STREQ(second.child("failure").text().get(),
               "chunk 0: 1 in the golden, 2 now\nreward: 1 in the golden, 2 now\n");
  EXPECT_NE(std::string(suite.child("system-out").text().get()).find("likely cause: dtype: x\n"), std::string::npos);
}

TEST(FormatJunit, HoldsNothingThatXmlDoesNot) {
  const std::string hostile = "]]>&<a b=\"'\x01\x1b\x7f\xc2\x85\xef\xbf\xbf\xef\xbf\xbe\xff\n\t";
  const std::string xml = format_junit(result_of(hostile, {{"error", hostile, hostile}}), 0);
  const auto document = parse(xml);
  const std::string spelt = "]]>&<a b=\"'\\x01\\x1b\\x7f\\x85\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\x0a\\x09";
  const auto test_case = document.child("testsuites").child("testsuite").last_child().previous_sibling();
  EXPECT_EQ(test_case.attribute("name").value(), "line a:2, " + spelt);
  EXPECT_EQ(test_case.child("failure").attribute("message").value(),
            "error: " + spelt + " in the golden, " + spelt + " now");
  EXPECT_EQ(test_case.child("failure").text().get(), "error: " + spelt + " in the golden, " + spelt + " now\n");
  for (const char forbidden : {'\x01', '\x1b', '\x7f', '\xff'}) EXPECT_EQ(xml.find(forbidden), std::string::npos);
  EXPECT_EQ(xml.find("&#"), std::string::npos);
  EXPECT_NE(xml.find("error: ]]&gt;"), std::string::npos);  // in text it would end a section
}

TEST(FormatJunit, ARowOfThousandsOfDifferencesIsCutShort) {
  std::vector<Difference> differences;
  for (int i = 0; i < 1000; ++i) differences.push_back({"chunk " + std::to_string(i), "1", "2", 1.0, 0.1});
  const std::string xml = format_junit(result_of("", differences), 0);
  EXPECT_LT(xml.size(), 5000U);
  EXPECT_NE(xml.find(".. and 980 more"), std::string::npos);
}

TEST(FormatJunitError, IsOneCaseWithAnError) {
  const auto document = parse(format_junit_error("g.jsonl", "x: cannot be read: <\x02>", 2));
  const auto suite = document.child("testsuites").child("testsuite");
  EXPECT_EQ(suite.attribute("tests").as_int(), 1);
  EXPECT_EQ(suite.attribute("errors").as_int(), 1);
  EXPECT_STREQ(suite.child("testcase").child("error").attribute("message").value(), "x: cannot be read: <\\x02>");
}

}  // namespace
}  // namespace prm_score
