#include "prm_score/io/report_page.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prm_score/text/sha256.h"

namespace prm_score {
namespace {

using Json = nlohmann::json;

constexpr char kHostile[] = "</script><script>alert(1)</script><!--\"'&\u2028\u2029<img src=x onerror=alert(2)>";

// What lies between the first `begin` and the next `end`.
std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const size_t from = text.find(begin);
  EXPECT_NE(from, std::string::npos) << begin;
  return text.substr(from + begin.size(), text.find(end, from + begin.size()) - from - begin.size());
}

RewardRow row_with(const std::string& text) {
  RewardRow row;
  row.origin.line = 1;
  row.origin.file = text;
  row.origin.id_json = Json(text).dump();
  row.origin.input_json = Json{{text, text}, {"text", text}}.dump();
  row.reward.reward = 0.5;
  row.reward.num_tokens = 1;
  row.reward.num_chunks = 1;
  row.reward.log_odds = {0.1F};
  int64_t num_chars = 0;
  for (const char c : text) num_chars += (c & 0xC0) != 0x80 ? 1 : 0;
  row.reward.spans = {{0, 1, 0, num_chars, 0, std::ssize(text)}};
  return row;
}

std::string page_with(const std::string& text) {
  ReportBuilder builder({}, {}, {text});
  builder.add(row_with(text));
  RewardRow bad;
  bad.reward.error = text;
  builder.add(bad);
  (void)builder.choose_details();
  return format_report(builder.finish(),
                       {.version = "1", .texts = {text}, .rows = {.judges = {text}, .difference = text}});
}

TEST(EscapeHtml, EscapesWhatMeansSomething) {
  EXPECT_EQ(escape_html("<a href=\"x\" b='y'>&amp;\u00e4"),
            "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;\u00e4");
}

TEST(EscapeJsonForScript, IsTheSameJsonWithoutMarkup) {
  const std::string json = Json{{"a<b", kHostile}}.dump();
  const std::string escaped = escape_json_for_script(json);
  EXPECT_EQ(escaped.find_first_of("<>&"), std::string::npos);
  EXPECT_EQ(escaped.find("\u2028"), std::string::npos);
  EXPECT_EQ(escaped.find("\u2029"), std::string::npos);
  EXPECT_NE(escaped.find("\\u003c/script\\u003e"), std::string::npos);
  EXPECT_EQ(Json::parse(escaped), Json::parse(json));
}

// Whatever is in the input: the page outside the data is, byte for byte, that of harmless text, names of files aside.
TEST(FormatReport, NoInputTextIsInThePageUnescaped) {
  const std::string page = page_with(kHostile);
  const std::string harmless = page_with("x");
  const std::string data = between(page, "id=\"data\">", "</script>");
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("alert(1)</script>"), std::string::npos);
  EXPECT_EQ(data.find("\u2028"), std::string::npos);
  const auto without_data = [](std::string text) {
    const size_t from = text.find("id=\"data\">");
    return text.erase(from, text.find("</script>", from) - from);
  };
  std::string shown = without_data(page);
  const std::string escaped = escape_html(kHostile);
  for (size_t at = shown.find(escaped); at != std::string::npos; at = shown.find(escaped, at)) {
    shown.replace(at, escaped.size(), "x");
  }
  EXPECT_TRUE(shown == without_data(harmless));
  const Json json = Json::parse(data);
  EXPECT_EQ(json["details"][0]["pieces"][0][0], kHostile);
  EXPECT_EQ(json["table"]["id"]["values"][0], kHostile);
  EXPECT_EQ(json["badRows"][0]["error"], kHostile);
}

TEST(FormatReport, NumbersAreThoseOfTheRows) {
  const Json json = Json::parse(between(page_with("x"), "id=\"data\">", "</script>"));
  EXPECT_EQ(json["table"]["reward"], Json::parse("[0.5,null]"));
  EXPECT_EQ(json["details"][0]["logOdds"].dump(), "[0.1]") << "the shortest digits of the float32";
  EXPECT_EQ(json["counts"]["bad"], 1);
  EXPECT_EQ(json["summary"]["median"], 0.5);
}

TEST(FormatReport, OnlyItsOwnScriptsMayRun) {
  const std::string page = page_with("x");
  EXPECT_TRUE(page.starts_with(kReportBegin));
  EXPECT_NE(page.find("THE SOFTWARE IS PROVIDED \"AS IS\""), std::string::npos);
  const std::string policy = between(page, "Content-Security-Policy\" content=\"", "\">");
  EXPECT_TRUE(policy.starts_with("default-src 'none'; "));
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  std::string rest = page;
  int num_scripts = 0;
  for (size_t at = rest.find("<script>"); at != std::string::npos; at = rest.find("<script>")) {
    rest.erase(0, at + 8);
    const std::string script = rest.substr(0, rest.find("</script>"));
    EXPECT_NE(policy.find("'sha256-" + sha256_base64(script) + "'"), std::string::npos);
    ++num_scripts;
  }
  EXPECT_EQ(num_scripts, 2);
  EXPECT_NE(policy.find("'sha256-" + sha256_base64(between(page, "<style>", "</style>")) + "'"), std::string::npos);
  EXPECT_EQ(page.find("http-equiv=\"refresh\""), std::string::npos);
}

TEST(FormatReport, LargeFieldsAreLeftOutAndNamed) {
  ReportBuilder builder({}, {}, {});
  for (int i = 0; i < 70'000; ++i) {
    RewardRow row = row_with("x");
    row.origin.input_json = Json{{"url", std::string(190, 'u') + std::to_string(i)}, {"source", "web"}}.dump();
    builder.add(row);
  }
  (void)builder.choose_details();
  const Json json = Json::parse(between(format_report(builder.finish(), {}), "id=\"data\">", "</script>"));
  EXPECT_EQ(json["table"]["columnsLeftOut"], Json::parse(R"(["url"])"));
  ASSERT_EQ(json["table"]["columns"].size(), 1u);
  EXPECT_EQ(json["table"]["columns"][0]["name"], "source");
}

TEST(FormatReport, NoRows) {
  ReportBuilder builder({}, {}, {});
  (void)builder.choose_details();
  const Json json = Json::parse(between(format_report(builder.finish(), {}), "id=\"data\">", "</script>"));
  EXPECT_TRUE(json["summary"].is_null());
}

}  // namespace
}  // namespace prm_score
