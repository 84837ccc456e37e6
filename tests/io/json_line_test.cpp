#include "prm_score/io/json_line.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

const JsonMemberSelection kAll{.keys = {}, .all = true};

// `key=value` of each field, as slices.
std::vector<std::string> slices(std::string_view line) {
  const auto parsed = parse_json_line(line, kAll);
  EXPECT_EQ(parsed.error, "") << line;
  std::vector<std::string> result;
  for (const auto& field : parsed.fields) {
    result.push_back(std::string(field.key_json) + "=" + std::string(field.value_json));
  }
  return result;
}

using Slices = std::vector<std::string>;

std::string error_of(std::string_view line) { return parse_json_line(line, kAll).error; }

TEST(ParseJsonLine, SlicesAreTheInputsBytes) {
  EXPECT_EQ(
      slices(R"({"a":1,"b":"x\u0041\/","c":[1, {"a" : 2}],"d":{ },"e":null,"f":true})"),
      (Slices{R"("a"=1)", R"("b"="x\u0041\/")", R"("c"=[1, {"a" : 2}])", R"("d"={ })", R"("e"=null)", R"("f"=true)"}));
  EXPECT_EQ(slices(" { \"a\" :\t-1.50e+3 , \"\\u0062,:\" : \"}\\\"\" } "),
            (Slices{R"("a"=-1.50e+3)", R"("\u0062,:"="}\"")"}));
  EXPECT_EQ(slices("{}"), Slices{});
}

TEST(ParseJsonLine, NumbersOfAnySizeAreKept) {
  const std::string long_integer(400, '9');
  for (const std::string number : {"12345678901234567890123", "1.0", "1e400", "-1E+400", "1e-400", "0.10", "-0",
                                   "0e999999999999", "9007199254740993", "1.7976931348623159e308"}) {
    EXPECT_EQ(slices("{\"a\":" + number + "}"), Slices{"\"a\"=" + number});
    EXPECT_EQ(slices("{\"a\":[" + number + "," + number + "] }"), Slices{"\"a\"=[" + number + "," + number + "]"});
  }
  for (const std::string& number : {long_integer, "-" + long_integer, long_integer + ".5", long_integer + "e5",
                                    long_integer + ".25E-7", "1." + long_integer + "e999"}) {
    EXPECT_EQ(slices("{\"a\":" + number + ", \"b\":\"1e400\"}"), (Slices{"\"a\"=" + number, R"("b"="1e400")"}));
  }
}

TEST(ParseJsonLine, AHugeNumberDoesNotHideWhatIsWrongElsewhere) {
  const std::string long_integer(400, '9');
  for (const std::string wrong : {"01", "1.", "1.e5", "1e", "1e+", "-", "+1", ".5", "1.5.5", "0x1", "1_0", "00"}) {
    EXPECT_NE(error_of("{\"a\":1e400,\"b\":" + wrong + "}"), "") << wrong;
  }
  EXPECT_NE(error_of("{\"a\":" + long_integer + ".}"), "");
  EXPECT_NE(error_of("{\"a\":0" + long_integer + "}"), "");
  EXPECT_NE(error_of("{\"a\":" + long_integer + "e}"), "");
  EXPECT_NE(error_of("{\"a\":" + long_integer + ".5.5}"), "");
}

TEST(ParseJsonLine, StringsAreDecoded) {
  const auto parsed = parse_json_line(R"({"\u0074ext":"a\u0000\n\ud83d\ude00\"é","n":[{"text":"inner"}]})", kAll);
  const auto* field = parsed.find("text");
  ASSERT_NE(field, nullptr);
  EXPECT_EQ(field->text, std::string("a\0\n\xF0\x9F\x98\x80\"\xC3\xA9", 10));
  EXPECT_EQ(field->kind, JsonKind::kString);
  EXPECT_EQ(parsed.find("n")->kind, JsonKind::kArray);
  EXPECT_EQ(parsed.find("n")->text, "");
}

TEST(ParseJsonLine, TheLastOfDuplicateKeysWins) {
  const auto parsed = parse_json_line(R"({"a":"first","b":2,"\u0061":3,"b":"x"})", kAll);
  ASSERT_EQ(parsed.fields.size(), 2u);
  EXPECT_EQ(parsed.find("a")->key_json, R"("\u0061")");
  EXPECT_EQ(parsed.find("a")->value_json, "3");
  EXPECT_EQ(parsed.find("a")->text, "");
  EXPECT_EQ(parsed.find("b")->text, "x");
}

TEST(ParseJsonLine, OnlyWantedFieldsAreGiven) {
  const auto parsed = parse_json_line(R"({"a":1,"b":[2],"c":"3"})", {.keys = {"c", "a"}});
  ASSERT_EQ(parsed.fields.size(), 2u);
  EXPECT_EQ(parsed.fields[0].key, "a");
  EXPECT_EQ(parsed.fields[1].key, "c");
}

TEST(ParseJsonLine, ErrorsSayWhyAndWhere) {
  EXPECT_EQ(error_of("\xEF\xBB\xBF{}"), "not JSON: byte order mark at byte 1");
  EXPECT_EQ(error_of(std::string_view("{}\0", 3)), "not JSON: NUL at byte 3");
  EXPECT_TRUE(error_of(R"({"a":tru})").starts_with("not JSON: invalid literal at byte 9")) << error_of(R"({"a":tru})");
  EXPECT_TRUE(error_of(R"({"a":1)").ends_with(" at byte 7")) << error_of(R"({"a":1)");
}

TEST(ParseJsonLine, RefusesWhatIsNotJson) {
  const std::string_view lines[] = {
      "", "nope", "{", "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "[1,]", "{\"a\":1}}",
      "{\"a\":1} x", "{\"a\":1}{\"b\":2}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":-Infinity}", "{\"a\":1 /* c */}",
      "{\"a\":\"\t\"}", "{\"a\":\"\\x41\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"unterminated}", "{\"a\":True}",
      "{\"a\":01}", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\ud800\"", "\"\\ud83dx\"", "\"\\udc00\\ud800\"",
      "{\"\\ud800\":1}", "{\"a\":1}\xC2\xA0", "\xC2\xA0{}",
      // Invalid UTF-8: stray continuation, overlong, surrogate, above U+10FFFF, cut, never-valid bytes; in a key too.
      "\"\x80\"", "\"\xC0\xAF\"", "\"\xE0\x80\xAF\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xE2\x82\"",
      "\"\xFF\"", "{\"\xFE\":1}", "{\"other\":[\"\xC3\"]}"};
  for (const auto line : lines) {
    EXPECT_TRUE(error_of(line).starts_with("not JSON: ")) << line;
    EXPECT_TRUE(parse_json_line(line, kAll).fields.empty()) << line;
  }
}

TEST(ParseJsonLine, ErrorsHoldNothingOfTheText) {
  const auto error = error_of(R"({"text":"the secret","b":the secret; expected secret})");
  EXPECT_EQ(error.find("secret"), std::string::npos) << error;
  EXPECT_NE(error, "");
}

TEST(ParseJsonLine, KindOfTheWholeLine) {
  const std::pair<const char*, JsonKind> cases[] = {
      {"{}", JsonKind::kObject},     {"[{\"a\":1}, 2]", JsonKind::kArray}, {" \"a\" ", JsonKind::kString},
      {"-1e400", JsonKind::kNumber}, {"false", JsonKind::kBoolean},        {"null", JsonKind::kNull}};
  for (const auto& [line, kind] : cases) {
    const auto parsed = parse_json_line(line, kAll);
    EXPECT_EQ(parsed.error, "") << line;
    EXPECT_EQ(parsed.kind, kind) << line;
    EXPECT_TRUE(parsed.fields.empty()) << line;
  }
}

TEST(ParseJsonLine, AnyDepthIsRead) {
  const size_t depth = 1'000'000;
  const std::string nested = std::string(depth, '[') + std::string(depth, ']');
  EXPECT_EQ(slices("{\"a\":" + nested + ",\"b\":1}"), (Slices{"\"a\"=" + nested, "\"b\"=1"}));
  EXPECT_NE(error_of("{\"a\":" + std::string(depth, '[')), "");
  std::string objects = "1";
  for (int i = 0; i < 1000; ++i) objects = "{\"a\":" + objects + "}";
  EXPECT_EQ(slices("{\"b\":" + objects + "}"), Slices{"\"b\"=" + objects});
}

TEST(ToJsonString, EscapesAndReplacesInvalidUtf8) {
  EXPECT_EQ(to_json_string("a\"\\\n\x01\xC3\xA9\xE2\x80\xA8"), "\"a\\\"\\\\\\n\\u0001\xC3\xA9\xE2\x80\xA8\"");
  EXPECT_EQ(to_json_string("x\xFFy"), "\"x\xEF\xBF\xBDy\"");
}

}  // namespace
}  // namespace prm_score
