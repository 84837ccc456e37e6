#include "prm_score/io/jsonl_reader.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace prm_score {
namespace {

InputLine parse(std::string_view line, InputFields fields = {}) {
  return DocumentParser(std::move(fields)).parse(line, {});
}

Document document_of(std::string_view line, InputFields fields = {}) {
  const auto result = parse(line, std::move(fields));
  if (const auto* error = std::get_if<LineError>(&result)) {
    ADD_FAILURE() << line << ": " << error->reason;
    return {};
  }
  return std::get<Document>(result);
}

LineError error_of(std::string_view line, InputFields fields = {}) {
  const auto result = parse(line, std::move(fields));
  if (std::holds_alternative<Document>(result)) {
    ADD_FAILURE() << line << ": is a document";
    return {};
  }
  return std::get<LineError>(result);
}

TEST(DocumentParser, ReadsTextContextAndId) {
  const auto document = document_of(R"({"prompt":"p\n","id":1.0,"text":"a\u0000b"})", {.context = "prompt"});
  EXPECT_EQ(document.text, std::string("a\0b", 3));
  EXPECT_EQ(document.context, "p\n");
  EXPECT_EQ(document.origin.id_json, "1.0");
  EXPECT_EQ(document.origin.input_json, "");
}

TEST(DocumentParser, FieldNamesAreOptions) {
  const auto document = document_of(R"({"body":"b","key":["k"],"text":"t","id":7})", {.text = "body", .id = "key"});
  EXPECT_EQ(document.text, "b");
  EXPECT_EQ(document.origin.id_json, "[\"k\"]");
}

TEST(DocumentParser, AnyIdIsRepeatedAsItStands) {
  for (const std::string id : {"null", "12345678901234567890123", "\"\\u0061\\/\"", "{ \"a\" : [ 1 ] }", "1e400"}) {
    EXPECT_EQ(document_of("{\"id\":" + id + ",\"text\":\"t\"}").origin.id_json, id);
  }
  EXPECT_EQ(document_of(R"({"text":"t"})").origin.id_json, "");
}

TEST(DocumentParser, KeptFieldsAreTheInputsTextInItsOrder) {
  const std::string_view line = R"({"b" : 1.0, "text":"t", "a":{"x": [1, 2]} , "id":3, "c":null})";
  EXPECT_EQ(document_of(line, {.keep = {"a", "b", "missing"}}).origin.input_json, R"({"b":1.0,"a":{"x": [1, 2]}})");
  EXPECT_EQ(document_of(line, {.keep = {"missing"}}).origin.input_json, "{}");
  EXPECT_EQ(document_of(line, {.keep = {"text", "id"}}).origin.input_json, R"({"text":"t","id":3})");
  EXPECT_EQ(document_of(line, {.keep_all = true}).origin.input_json,
            R"({"b":1.0,"text":"t","a":{"x": [1, 2]},"id":3,"c":null})");
  EXPECT_EQ(document_of(R"({"\u0061":"\u00e9","text":""})", {.keep = {"a"}}).origin.input_json,
            R"({"\u0061":"\u00e9"})");
}

TEST(DocumentParser, TheLastOfDuplicateKeysWins) {
  const auto document = document_of(R"({"text":1,"id":1,"text":"t","id":2})", {.keep_all = true});
  EXPECT_EQ(document.text, "t");
  EXPECT_EQ(document.origin.id_json, "2");
  EXPECT_EQ(document.origin.input_json, R"({"text":"t","id":2})");
  EXPECT_EQ(error_of(R"({"text":"t","text":1})").reason, "text: expected a string, got a number");
}

TEST(DocumentParser, OneFieldMayServeTwice) {
  const auto document = document_of(R"({"text":"t"})", {.id = "text", .context = "text"});
  EXPECT_EQ(document.text, "t");
  EXPECT_EQ(document.context, "t");
  EXPECT_EQ(document.origin.id_json, "\"t\"");
}

TEST(DocumentParser, ErrorsNamePlaceExpectedAndFound) {
  EXPECT_EQ(error_of("{}").reason, "text: missing field \"text\"");
  EXPECT_EQ(error_of(R"({"text":null})").reason, "text: expected a string, got null");
  EXPECT_EQ(error_of(R"({"text":true})").reason, "text: expected a string, got a boolean");
  EXPECT_EQ(error_of(R"({"text":["a"]})").reason, "text: expected a string, got an array");
  EXPECT_EQ(error_of(R"({"text":{}})").reason, "text: expected a string, got an object");
  EXPECT_EQ(error_of(R"({"text":"t"})", {.context = "p"}).reason, "p: missing field \"p\"");
  EXPECT_EQ(error_of(R"({"text":"t","p":0})", {.context = "p"}).reason, "p: expected a string, got a number");
  EXPECT_EQ(error_of(R"(["text"])").reason, "line: expected an object, got an array");
  EXPECT_EQ(error_of(R"("text")").reason, "line: expected an object, got a string");
  EXPECT_TRUE(error_of(R"({"text":"t"}})").reason.starts_with("not JSON: "));
}

TEST(DocumentParser, BadObjectsKeepIdAndFields) {
  const auto error = error_of(R"({"id":5,"a":[1]})", {.keep = {"a"}});
  EXPECT_EQ(error.origin.id_json, "5");
  EXPECT_EQ(error.origin.input_json, R"({"a":[1]})");
}

TEST(DocumentParser, LinesThatAreNotJsonHaveNeitherIdNorFields) {
  const auto error = error_of(R"({"id":5,"text":"t",})", {.keep_all = true});
  EXPECT_EQ(error.origin.id_json, "");
  EXPECT_EQ(error.origin.input_json, "");
}

class JsonlReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("jsonl_reader_test." + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write_file(const std::string& name, std::string_view bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }

  // `file line text` or `file line !reason`.
  static std::vector<std::string> read_all(JsonlReaderOptions options) {
    JsonlReader reader(std::move(options));
    std::vector<std::string> lines;
    while (const auto line = reader.next()) {
      const auto* document = std::get_if<Document>(&*line);
      const auto& origin = document ? document->origin : std::get<LineError>(*line).origin;
      lines.push_back(origin.file + " " + std::to_string(origin.line) + " " +
                      (document ? document->text : "!" + std::get<LineError>(*line).reason));
    }
    return lines;
  }

  std::filesystem::path folder_;
};

using Lines = std::vector<std::string>;

TEST_F(JsonlReaderTest, BlankLinesAreCountedButNotGiven) {
  const auto file = write_file("a", "\n{\"text\":\"a\"}\r\n \t\r\n\r\n{\"text\":\"b\"}\n\n");
  EXPECT_EQ(read_all({.lines = {.files = {file}}, .fields = {}}), (Lines{" 2 a", " 5 b"}));
}

TEST_F(JsonlReaderTest, OtherWhiteSpaceIsNoBlankLine) {
  const auto lines = read_all({.lines = {.files = {write_file("a", "\xC2\xA0\n\f\n\xE2\x80\xA8\n")}}, .fields = {}});
  ASSERT_EQ(lines.size(), 3u);
  for (const auto& line : lines) EXPECT_NE(line.find("!not JSON"), std::string::npos) << line;
}

TEST_F(JsonlReaderTest, FilesAreNamedOnlyIfThereAreSeveral) {
  const auto a = write_file("a", "{\"text\":\"a\"}");
  const auto b = write_file("b", "\n[]\n");
  EXPECT_EQ(read_all({.lines = {.files = {a}}, .fields = {}}), Lines{" 1 a"});
  EXPECT_EQ(read_all({.lines = {.files = {a, b}}, .fields = {}}),
            (Lines{a + " 1 a", b + " 2 !line: expected an object, got an array"}));
}

TEST_F(JsonlReaderTest, LongLinesAreBadAndTheRunGoesOn) {
  const auto file = write_file("a", "{\"text\":\"" + std::string(1'000'000, 'x') + "\"}\n{\"text\":\"b\"}\n");
  EXPECT_EQ(read_all({.lines = {.files = {file}, .max_line_bytes = 100}, .fields = {}}),
            (Lines{" 1 !line: longer than 100 bytes", " 2 b"}));
}

}  // namespace
}  // namespace prm_score
