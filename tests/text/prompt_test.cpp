#include "prm_score/text/prompt.h"

#include <filesystem>
#include <fstream>

#include "byte_tokenizer.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/text/sha256.h"

namespace prm_score {
namespace {

constexpr int64_t kTemplateBytes = 23 + 37;
constexpr int64_t kRoomy = 1'000'000;

Document document_of(std::string text, std::string context = "") {
  return {.origin = {}, .text = std::move(text), .context = std::move(context)};
}

PromptOptions bytes_per_chunk(int64_t chunk_size) {
  return {.chunking = {.chunk_size = chunk_size, .stride = chunk_size}};
}

std::vector<std::string> prompt_texts(const DocumentPrompts& built) {
  std::vector<std::string> texts;
  for (const Prompt& prompt : built.prompts) texts.push_back(built.text(prompt));
  return texts;
}

std::string shown(std::string_view context, std::string_view chunk) {
  return std::string(context) + "\n\n<<JUDGEMENT_REGION>>\n" + std::string(chunk) +
         "\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>";
}

TEST(PromptBuilder, EveryChunkIsShownWithEverythingBeforeIt) {
  const ByteTokenizer tokenizer;
  const PromptBuilder builder(tokenizer, bytes_per_chunk(3), kRoomy);
  const auto built = builder.build(document_of("abcdefgh", "Q:"), {.prompt_texts = true});
  EXPECT_EQ(built.error, "");
  EXPECT_EQ(built.num_tokens, 8);
  EXPECT_EQ(prompt_texts(built),
            (std::vector<std::string>{shown("Q:", "abc"), shown("Q:abc", "def"), shown("Q:abcdef", "gh")}));
  for (const Prompt& prompt : built.prompts) {
    EXPECT_EQ(built.input_ids(prompt), tokenizer.encode(built.text(prompt))) << prompt.chunk;
  }
  EXPECT_FALSE(built.warnings.any());
  EXPECT_EQ(built.trunks.size(), 1u);
}

// The digest is what `printf 97,98,99 | sha256sum` says.
TEST(PromptBuilder, TheHashOfTheIdsIsTheTextsAlone) {
  const ByteTokenizer tokenizer(/*bos_id=*/256);
  const PromptBuilder builder(tokenizer, bytes_per_chunk(2), kRoomy);
  constexpr char kDigest[] = "830bfde037ad04e792f869d42c5ae6c0260548e99302f95382dc24dd63d2f47f";
  EXPECT_EQ(builder.build(document_of("abc"), {.ids_sha256 = true}).ids_sha256, kDigest);
  EXPECT_EQ(builder.build(document_of("abc", "context"), {.ids_sha256 = true}).ids_sha256, kDigest);
  EXPECT_NE(builder.build(document_of("ab"), {.ids_sha256 = true}).ids_sha256, kDigest);
  EXPECT_EQ(builder.build(document_of("abc"), {}).ids_sha256, "");
}

TEST(PromptBuilder, CutCharacterIsShownAsReplacementOnBothSides) {
  const ByteTokenizer tokenizer;
  const PromptBuilder builder(tokenizer, bytes_per_chunk(2), kRoomy);
  const auto built = builder.build(document_of("a\u00e9b"), {.prompt_texts = true});  // a C3 | A9 b
  EXPECT_EQ(prompt_texts(built), (std::vector<std::string>{shown("", "a\ufffd"), shown("a\ufffd", "\ufffdb")}));
  EXPECT_EQ(built.input_ids(built.prompts[1]), tokenizer.encode(shown("a\ufffd", "\ufffdb")));
}

TEST(PromptBuilder, JoinTokensDecodesNothing) {
  const ByteTokenizer tokenizer;
  PromptOptions options = bytes_per_chunk(2);
  options.join = Join::kTokens;
  const auto built = PromptBuilder(tokenizer, options, kRoomy).build(document_of("a\u00e9b", "Q"), {});
  EXPECT_EQ(built.input_ids(built.prompts[1]), tokenizer.encode(shown("Qa\xC3",
                                                                      "\xA9"
                                                                      "b")));
}

TEST(PromptBuilder, BosStandsOnceInFrontOfEveryPrompt) {
  const ByteTokenizer tokenizer(/*bos_id=*/256);
  for (const Join join : {Join::kText, Join::kTokens}) {
    PromptOptions options = bytes_per_chunk(2);
    options.join = join;
    const auto built = PromptBuilder(tokenizer, options, kRoomy).build(document_of("abcd"), {});
    for (const Prompt& prompt : built.prompts) {
      const auto ids = built.input_ids(prompt);
      EXPECT_EQ(ids.front(), 256);
      EXPECT_EQ(std::count(ids.begin(), ids.end(), 256), 1);
    }
    EXPECT_EQ(built.num_tokens, 4);
  }
}

std::vector<int64_t> prompted_chunks(const DocumentPrompts& built) {
  std::vector<int64_t> chunks;
  for (const Prompt& prompt : built.prompts) chunks.push_back(prompt.chunk);
  return chunks;
}

TEST(PromptBuilder, SkipsTheFirstAndDropsAShortLastChunk) {
  const ByteTokenizer tokenizer;
  PromptOptions options = bytes_per_chunk(3);
  options.first_chunk = FirstChunk::kSkip;
  options.last_chunk = LastChunk::kDrop;
  const PromptBuilder builder(tokenizer, options, kRoomy);
  EXPECT_EQ(prompted_chunks(builder.build(document_of("abcdefgh"), {})), (std::vector<int64_t>{1}));
  EXPECT_EQ(prompted_chunks(builder.build(document_of("abcdefghi"), {})), (std::vector<int64_t>{1, 2}));
  const auto nothing_left = builder.build(document_of("abcd"), {});
  EXPECT_EQ(nothing_left.error, "text: no chunk left to score of 2");
}

TEST(PromptBuilder, ContextMovesOnByHalfItsLimit) {
  const ByteTokenizer tokenizer;
  PromptOptions options = bytes_per_chunk(2);
  options.max_context = 5;  // moves by floor(5 / 2 / 2) = 1 chunk
  const auto built = PromptBuilder(tokenizer, options, kRoomy).build(document_of("aabbccddee"), {.prompt_texts = true});
  EXPECT_EQ(prompt_texts(built), (std::vector<std::string>{shown("", "aa"), shown("aa", "bb"), shown("aabb", "cc"),
                                                           shown("bbcc", "dd"), shown("ccdd", "ee")}));
  EXPECT_TRUE(built.warnings.context_cut);
  EXPECT_EQ(built.trunks.size(), 3u);
}

TEST(PromptBuilder, CutFieldKeepsItsLastTokens) {
  const ByteTokenizer tokenizer;
  PromptOptions options = bytes_per_chunk(2);
  options.max_context = 4;
  const auto built =
      PromptBuilder(tokenizer, options, kRoomy).build(document_of("aabb", "12345"), {.prompt_texts = true});
  // Units of the field: 12 34 5. One token too many for chunk 0: 12 goes; chunk 1 then loses 34 too.
  EXPECT_EQ(prompt_texts(built), (std::vector<std::string>{shown("345", "aa"), shown("5aa", "bb")}));
}

TEST(PromptBuilder, ContextGivesWayWhereThePromptWouldNotFit) {
  const ByteTokenizer tokenizer;
  PromptOptions options = bytes_per_chunk(2);
  options.max_context = 1000;  // half of it is 250 chunks: the first move empties the context
  const auto built = PromptBuilder(tokenizer, options, /*max_positions=*/kTemplateBytes + 4)
                         .build(document_of("aabbcc"), {.prompt_texts = true});
  EXPECT_EQ(prompt_texts(built), (std::vector<std::string>{shown("", "aa"), shown("aa", "bb"), shown("", "cc")}));
}

TEST(PromptBuilder, ChunkThatNeverFitsIsAnError) {
  const ByteTokenizer tokenizer;
  const auto built =
      PromptBuilder(tokenizer, bytes_per_chunk(4), kTemplateBytes + 3).build(document_of("abcdefgh"), {});
  EXPECT_EQ(built.error, "text: chunk 0: expected a prompt of at most 63 tokens, got 64 with an empty context");
}

TEST(PromptBuilder, DefaultContextLeavesRoomInWholeChunks) {
  const ByteTokenizer tokenizer(/*bos_id=*/256);
  // 1000 - 64 - (60 + 1) - 16 = 859, rounded down to chunks of 64: 832
  EXPECT_EQ(default_max_context(tokenizer, 64, 1000), 832);
  EXPECT_EQ(default_max_context(tokenizer, 64, 100), 0);
  EXPECT_EQ(PromptBuilder(tokenizer, bytes_per_chunk(64), 1000).max_context(), 832);
}

TEST(PromptBuilder, WarnsOfSpecialTokensAndMarkersInTextAndContext) {
  const ByteTokenizer tokenizer;
  const PromptBuilder builder(tokenizer, bytes_per_chunk(64), kRoomy);
  const auto warnings = [&](const char* text, const char* context) {
    return builder.build(document_of(text, context), {}).warnings;
  };
  EXPECT_TRUE(warnings("a@b", "").special_tokens);
  EXPECT_TRUE(warnings("a", "@").special_tokens);
  EXPECT_TRUE(warnings("<<JUDGEMENT>>", "").template_markers);
  EXPECT_TRUE(warnings("a", "x<</JUDGEMENT_REGION>>").template_markers);
  EXPECT_FALSE(warnings("<JUDGEMENT>", "<< JUDGEMENT >>").any());
}

TEST(PromptBuilder, SpansCoverTheText) {
  const ByteTokenizer tokenizer;
  const auto built =
      PromptBuilder(tokenizer, bytes_per_chunk(2), kRoomy).build(document_of("a\u00e9b"), {.spans = true});
  ASSERT_EQ(built.spans.size(), 2u);
  EXPECT_EQ(built.spans[0].byte_end, 3);  // the cut character is in both
  EXPECT_EQ(built.spans[1].byte_begin, 1);
  EXPECT_EQ(built.spans[1].char_end, 3);
}

TEST(PromptBuilder, EmptyTextHasNoTokens) {
  const ByteTokenizer tokenizer;
  EXPECT_EQ(PromptBuilder(tokenizer, {}, kRoomy).build(document_of("", "context"), {}).error, "text: no tokens");
}

class RefusingTokenizer : public ByteTokenizer {
 public:
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const override {
    if (text.find("never") != std::string_view::npos) throw Error("tokenizer.json: too many steps");
    return ByteTokenizer::encode(text);
  }
};

TEST(PromptBuilder, TextThatTheTokenizerRefusesIsABadDocument) {
  const RefusingTokenizer tokenizer;
  const PromptBuilder builder(tokenizer, {}, kRoomy);
  EXPECT_EQ(builder.build(document_of("never"), {}).error, "text: tokenizer.json: too many steps");
  EXPECT_EQ(builder.build(document_of("a", "never"), {}).error, "text: tokenizer.json: too many steps");
  EXPECT_EQ(builder.build(document_of("always"), {}).error, "");
}

TEST(PromptBuilder, RejectsOptionsOutOfRange) {
  const ByteTokenizer tokenizer;
  PromptOptions options = bytes_per_chunk(4);
  options.max_context = -1;
  EXPECT_THROW(PromptBuilder(tokenizer, options, kRoomy), Error);
  EXPECT_THROW(PromptBuilder(tokenizer, {.chunking = {.chunk_size = 4, .stride = 5}}, kRoomy), Error);
}

// --- Against the reference's prompts, made by scripts/make_prompt_goldens.py ---

const std::filesystem::path kGoldenFolder = std::filesystem::path(PRM_SCORE_DATA_DIR) / "golden" / "prompts";

PromptOptions options_from(const nlohmann::json& json) {
  PromptOptions options = bytes_per_chunk(json.at("chunk_size"));
  if (!json.at("stride").is_null()) options.chunking.stride = json.at("stride");
  if (json.at("first_chunk") == "skip") options.first_chunk = FirstChunk::kSkip;
  if (json.at("last_chunk") == "drop") options.last_chunk = LastChunk::kDrop;
  if (json.at("join") == "tokens") options.join = Join::kTokens;
  if (!json.at("max_context").is_null()) options.max_context = json.at("max_context").get<int64_t>();
  return options;
}

template <typename T>
void append_bytes(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string digest(const DocumentPrompts& built) {
  std::string bytes;
  for (const Prompt& prompt : built.prompts) {
    const Chunk& chunk = built.chunks[prompt.chunk];
    for (const int64_t number : {prompt.chunk, chunk.begin, chunk.end}) append_bytes(bytes, number);
    bytes += built.text(prompt);
    for (const TokenId id : built.input_ids(prompt)) append_bytes(bytes, id);
  }
  return sha256_hex(bytes);
}

std::vector<Document> golden_documents() {
  std::ifstream file(kGoldenFolder / "documents.jsonl");
  std::vector<Document> documents;
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line);
    documents.push_back(document_of(json.at("text"), json.value("context", "")));
    documents.back().origin.id_json = json.at("id");
  }
  return documents;
}

void expect_golden(const DocumentPrompts& built, const nlohmann::json& expected) {
  EXPECT_EQ(built.num_tokens, expected.at("num_tokens").get<int64_t>());
  EXPECT_EQ(built.chunks.size(), expected.at("num_chunks").get<size_t>());
  if (!expected.at("fits")) {
    EXPECT_NE(built.error, "");
    return;
  }
  EXPECT_EQ(built.warnings.context_cut, expected.at("context_cut").get<bool>());
  std::vector<int64_t> lengths;
  for (const Prompt& prompt : built.prompts) lengths.push_back(std::ssize(built.input_ids(prompt)));
  EXPECT_EQ(lengths, expected.at("lengths").get<std::vector<int64_t>>());
  EXPECT_EQ(digest(built), expected.at("sha256").get<std::string>());
}

class PromptGolden : public testing::TestWithParam<std::string> {};

TEST_P(PromptGolden, EqualsTheReferenceForEveryOption) {
  std::ifstream file(kGoldenFolder / (GetParam() + ".json"));
  const auto golden = nlohmann::json::parse(file);
  const auto tokenizer = load_tokenizer(
      std::filesystem::path(PRM_SCORE_DATA_DIR).parent_path() / golden.at("folder").get<std::string>(), {});
  const auto documents = golden_documents();
  ASSERT_FALSE(documents.empty());
  for (const auto& [name, options] : golden.at("options").items()) {
    const PromptBuilder builder(*tokenizer, options_from(options), golden.at("max_positions"));
    for (const Document& document : documents) {
      SCOPED_TRACE(name + " on document " + document.origin.id_json);
      expect_golden(builder.build(document, {.spans = true, .prompt_texts = true}),
                    golden.at("cases").at(name).at(document.origin.id_json));
    }
  }
}

std::vector<std::string> golden_kinds() {
  std::vector<std::string> kinds;
  for (const auto& entry : std::filesystem::directory_iterator(kGoldenFolder)) {
    if (entry.path().extension() == ".json") kinds.push_back(entry.path().stem());
  }
  std::sort(kinds.begin(), kinds.end());
  return kinds;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Kinds, PromptGolden, testing::ValuesIn(golden_kinds()), test_name);

TEST(PromptBuilder, GivesUpOnceItIsToldToStop) {
  const ByteTokenizer tokenizer;
  const std::atomic<bool> stop = true;
  const auto built = PromptBuilder(tokenizer, {}, kRoomy).build(document_of("abc"), {.stop = &stop});
  EXPECT_EQ(built.error, "stopped");
}

}  // namespace
}  // namespace prm_score
