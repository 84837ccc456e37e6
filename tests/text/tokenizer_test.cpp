#include "prm_score/text/tokenizer.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "tokenizer_kinds.h"
#include <gtest/gtest.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

// A checkpoint folder put together from golden files, gone after the test.
class LoadTokenizer : public testing::Test {
 protected:
  LoadTokenizer() { fs::create_directories(folder_); }
  ~LoadTokenizer() override { fs::remove_all(folder_); }

  void copy(const fs::path& file) { fs::copy_file(file, folder_ / file.filename()); }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  std::string error() {
    try {
      (void)load_tokenizer(folder_, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  const fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("load_tokenizer_") + testing::UnitTest::GetInstance()->current_test_info()->name());
  const fs::path json_file_ = tokenizer_folder("qwen3") / "tokenizer.json";
  const fs::path model_file_ = data_folder() / "golden" / "sentencepiece" / "llama" / "tokenizer.model";
  const std::string unsupported_json_ = R"({"model": {"type": "Unigram", "vocab": [["a", -1.5]]}})";
};

TEST_F(LoadTokenizer, PrefersTokenizerJson) {
  copy(json_file_);
  copy(model_file_);
  EXPECT_EQ(load_tokenizer(folder_, {})->file_name(), "tokenizer.json");
}

TEST_F(LoadTokenizer, TakesTokenizerModelIfTheJsonIsOfAnotherKind) {
  write("tokenizer.json", unsupported_json_);
  copy(model_file_);
  EXPECT_EQ(load_tokenizer(folder_, {})->file_name(), "tokenizer.model");
}

TEST_F(LoadTokenizer, TakesTokenizerModelIfThereIsNoJson) {
  copy(model_file_);
  EXPECT_EQ(load_tokenizer(folder_, {})->file_name(), "tokenizer.model");
}

TEST_F(LoadTokenizer, DoesNotHideADamagedJsonBehindTheModel) {
  write("tokenizer.json", "{\"model\": ");
  copy(model_file_);
  EXPECT_TRUE(error().starts_with((folder_ / "tokenizer.json").string() + ": byte 11: not valid JSON")) << error();
}

TEST_F(LoadTokenizer, SaysWhatItLookedFor) {
  EXPECT_EQ(error(), folder_.string() + ": expected tokenizer.json or tokenizer.model, got neither");
  write("tokenizer.json", unsupported_json_);
  EXPECT_EQ(error(),
            (folder_ / "tokenizer.json").string() +
                ": model.type: expected BPE, got \"Unigram\" (and there is no tokenizer.model to use instead)");
}

TEST_F(LoadTokenizer, RefusesAFolderForAFile) {
  fs::create_directory(folder_ / "tokenizer.json");
  EXPECT_EQ(error(), (folder_ / "tokenizer.json").string() + ": expected a regular file");
}

TEST_F(LoadTokenizer, TakesBosFromTheConfiguration) {
  copy(json_file_);
  EXPECT_EQ(load_tokenizer(folder_, {})->bos_id(), std::nullopt);
  write("tokenizer_config.json", R"({"add_bos_token": true, "bos_token": "<|endoftext|>"})");
  const auto tokenizer = load_tokenizer(folder_, {});
  EXPECT_EQ(tokenizer->bos_id(), tokenizer->label_id("<|endoftext|>"));
}

TEST(WholeStringTrunk, SharesWhatIsEqual) {
  const auto tokenizer = load_kind("qwen2.5", SpecialTokens::kParse);
  const auto trunk = make_whole_string_trunk(*tokenizer, "one two three");
  ASSERT_EQ(trunk->ids().size(), 3u);  // "one", " two", " three"
  const JoinedIds joined = trunk->join(7, " A");
  EXPECT_EQ(joined.num_shared, 2);
  EXPECT_EQ(joined.rest, tokenizer->encode(" A"));
  EXPECT_EQ(trunk->join(0, "").num_shared, 0);
}

}  // namespace
}  // namespace prm_score
