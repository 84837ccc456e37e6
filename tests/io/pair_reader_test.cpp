#include "prm_score/io/pair_reader.h"

#include <gtest/gtest.h>

namespace prm_score {
namespace {

PairLine parse(std::string_view line, const InputFields& fields = {}, const PairFields& pair_fields = {}) {
  RowOrigin origin;
  origin.line = 7;
  return PairParser(fields, pair_fields).parse(line, origin);
}

std::string error_of(const PairLine& line) {
  const auto* error = std::get_if<LineError>(&line);
  return error == nullptr ? "" : error->reason;
}

TEST(PairParserTest, PromptIsTheContextOfBoth) {
  const auto pair =
      std::get<PreferencePair>(parse(R"({"id":3,"prompt":"p","chosen":"c","rejected":"r","subset":"chat"})"));
  EXPECT_EQ(pair.chosen.text, "c");
  EXPECT_EQ(pair.rejected.text, "r");
  for (const Document* document : {&pair.chosen, &pair.rejected}) {
    EXPECT_EQ(document->context, "p");
    EXPECT_EQ(document->origin.line, 7);
    EXPECT_EQ(document->origin.id_json, "3");
    EXPECT_EQ(document->origin.subset, "chat");
  }
}

TEST(PairParserTest, PromptAndSubsetMayBeMissing) {
  for (const char* line :
       {R"({"chosen":"c","rejected":"r"})", R"({"prompt":null,"subset":null,"chosen":"c","rejected":"r"})"}) {
    const auto pair = std::get<PreferencePair>(parse(line));
    EXPECT_EQ(pair.chosen.context, "");
    EXPECT_EQ(pair.chosen.origin.subset, "");
  }
}

TEST(PairParserTest, AContextFieldThatIsNamedIsNeeded) {
  const InputFields fields = {.text = "text", .id = "id", .context = "question"};
  EXPECT_EQ(error_of(parse(R"({"prompt":"p","chosen":"c","rejected":"r"})", fields)),
            "question: missing field \"question\"");
  const auto pair = parse(R"({"question":"q","prompt":"p","chosen":"c","rejected":"r"})", fields);
  EXPECT_EQ(std::get<PreferencePair>(pair).rejected.context, "q");
}

TEST(PairParserTest, FieldsHaveOtherNames) {
  const PairFields names = {.chosen = "good", .rejected = "bad", .subset = "part"};
  const auto pair = std::get<PreferencePair>(parse(R"({"good":"c","bad":"r","part":5})", {}, names));
  EXPECT_EQ(pair.chosen.text + pair.rejected.text, "cr");
  EXPECT_EQ(pair.chosen.origin.subset, "5");
}

TEST(PairParserTest, KeptFieldsAreThere) {
  InputFields fields;
  fields.keep = {"prompt"};
  const auto pair = std::get<PreferencePair>(parse(R"({"prompt":"p","chosen":"c","rejected":"r"})", fields));
  EXPECT_EQ(pair.chosen.origin.input_json, R"({"prompt":"p"})");
}

TEST(PairParserTest, BadLinesNameWhatIsWrong) {
  EXPECT_EQ(error_of(parse("[1]")), "line: expected an object, got an array");
  EXPECT_EQ(error_of(parse(R"({"chosen":"c"})")), "rejected: missing field \"rejected\"");
  EXPECT_EQ(error_of(parse(R"({"chosen":"c","rejected":7})")), "rejected: expected a string, got a number");
  EXPECT_EQ(error_of(parse(R"({"prompt":7,"chosen":"c","rejected":"r"})")), "prompt: expected a string, got a number");
  EXPECT_NE(error_of(parse("{")).find("not JSON"), std::string::npos);
  const auto error = parse(R"({"id":"x","chosen":[{"role":"user","content":"hi"}],"rejected":"r"})");
  EXPECT_NE(error_of(error).find("chosen: expected a string, got an array; a list of messages is flattened by: jq"),
            std::string::npos);
  EXPECT_EQ(std::get<LineError>(error).origin.id_json, "\"x\"");
}

TEST(PairParserTest, NothingButAListOfMessagesIsToBeFlattened) {
  for (const char* list : {R"(["hi"])", R"([])", R"([{"role":"user"}])", R"([{"content":[{"type":"text"}]}])",
                           R"([{"from":"human","value":"hi"}])", R"([{"content":"hi"},"hi"])"}) {
    EXPECT_EQ(error_of(parse(std::string(R"({"rejected":"r","chosen":)") + list + "}")),
              "chosen: expected a string, got an array")
        << list;
  }
  EXPECT_EQ(error_of(parse(R"({"rejected":"r","chosen":{"content":"hi"}})")),
            "chosen: expected a string, got an object");
}

}  // namespace
}  // namespace prm_score
