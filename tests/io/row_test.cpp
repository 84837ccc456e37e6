#include "prm_score/io/row.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

DocumentReward reward_of(std::vector<std::optional<float>> log_odds, double reward) {
  DocumentReward result;
  result.reward = reward;
  result.num_tokens = 70;
  result.num_chunks = static_cast<int64_t>(log_odds.size());
  result.log_odds = std::move(log_odds);
  return result;
}

RowOrigin line(int64_t number) {
  RowOrigin origin;
  origin.line = number;
  return origin;
}

TEST(FormatRow, HasTheDocumentedFieldsInOrder) {
  EXPECT_EQ(format_row(line(1), reward_of({0.5F, -2.0F}, -0.75)),
            "{\"line\":1,\"reward\":-0.75,\"num_tokens\":70,\"num_chunks\":2,\"log_odds\":[0.5,-2]}\n");

  RowOrigin origin{.file = "a\"b.jsonl",
                   .line = 3,
                   .id_json = "12345678901234567890123",
                   .input_json = "{\"k\": 1.0}",
                   .subset = {},
                   .input_sha256 = {}};
  auto reward = reward_of({std::nullopt, 0.25F}, 0.25);
  reward.spans = {{0, 64, 0, 301, 0, 303}, {64, 70, 300, 320, 302, 330}};
  reward.warnings = {.special_tokens = true, .template_markers = true, .context_cut = true};
  reward.ids_sha256 = "3f";
  EXPECT_EQ(
      format_row(origin, reward),
      "{\"line\":3,\"file\":\"a\\\"b.jsonl\",\"id\":12345678901234567890123,\"input\":{\"k\": 1.0},\"reward\":0.25,"
      "\"num_tokens\":70,\"num_chunks\":2,\"log_odds\":[null,0.25],"
      "\"spans\":[{\"tokens\":[0,64],\"chars\":[0,301],\"bytes\":[0,303]},"
      "{\"tokens\":[64,70],\"chars\":[300,320],\"bytes\":[302,330]}],"
      "\"warnings\":[\"special_tokens\",\"template_markers\",\"context_cut\"],\"ids_sha256\":\"3f\"}\n");
}

TEST(FormatRow, NumbersAreShortestAndReadBackExactly) {
  // 0.1F widened to double would print as 0.10000000149011612.
  EXPECT_EQ(
      format_row(line(1), reward_of({0.1F, 1e20F, -0.0F, 16777216.0F, 1e-45F}, 0.1)),
      "{\"line\":1,\"reward\":0.1,\"num_tokens\":70,\"num_chunks\":5,\"log_odds\":[0.1,1e+20,-0,16777216,1e-45]}\n");
  const double third = 1.0 / 3.0;
  const auto row = format_row(line(1), reward_of({}, third));
  EXPECT_EQ(std::stod(row.substr(row.find("reward") + 8)), third);
}

TEST(FormatRow, WhatJsonCannotSayIsNull) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(format_row(line(1), reward_of({infinity, NAN}, -infinity)),
            "{\"line\":1,\"reward\":null,\"num_tokens\":70,\"num_chunks\":2,\"log_odds\":[null,null]}\n");
}

TEST(FormatRow, ADocumentWithAnErrorIsABadRow) {
  auto reward = reward_of({0.5F}, 0.5);
  reward.error = "text: no tokens";
  EXPECT_EQ(format_row(line(2), reward), "{\"line\":2,\"reward\":null,\"error\":\"text: no tokens\"}\n");
}

TEST(FormatErrorRow, IsTheDocumentedOne) {
  LineError error;
  error.origin = line(7);
  error.reason = "text: missing field \"text\"";
  error.origin.id_json = "\"x\"";
  EXPECT_EQ(format_error_row(error),
            "{\"line\":7,\"id\":\"x\",\"reward\":null,\"error\":\"text: missing field \\\"text\\\"\"}\n");
}

TEST(FormatErrorRow, IsJsonWhateverTheNames) {
  LineError error;
  error.origin = line(7);
  error.reason = "\xFF: missing\n";
  error.origin.file = "\xC3.jsonl\x01";
  error.origin.input_json = "{}";
  EXPECT_EQ(format_error_row(error),
            "{\"line\":7,\"file\":\"\xEF\xBF\xBD.jsonl\\u0001\",\"input\":{},\"reward\":null,"
            "\"error\":\"\xEF\xBF\xBD: missing\\n\"}\n");
}

TEST(FormatPromptRow, HoldsPromptAndIds) {
  DocumentPrompts document;
  document.chunks = {{0, 64}, {64, 70}};
  document.trunks = {{.ids = {1, 2, 3}, .text = "ab"}};
  Prompt prompt;
  prompt.chunk = 1;
  prompt.num_shared = 2;
  prompt.rest = {9};
  prompt.num_shared_bytes = 1;
  prompt.rest_text = "\n\"";
  auto origin = line(4);
  origin.id_json = "7";
  origin.input_json = "{\"not\":\"shown\"}";
  EXPECT_EQ(
      format_prompt_row(origin, document, prompt),
      "{\"line\":4,\"id\":7,\"chunk\":1,\"start\":64,\"end\":70,\"prompt\":\"a\\n\\\"\",\"input_ids\":[1,2,9]}\n");
}

}  // namespace
}  // namespace prm_score
