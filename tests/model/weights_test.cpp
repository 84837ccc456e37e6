#include "prm_score/model/weights.h"

#include "tiny_checkpoint.h"
#include <ATen/ops/allclose.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

const WeightOptions kOptions = {.label_a_id = 0, .label_b_id = 2};

class LoadWeightsTest : public ::testing::Test {
 protected:
  ModelWeights load(const WeightOptions& options = kOptions) {
    checkpoint_.write(folder_);
    return load_weights(std::make_shared<SafetensorsSource>(folder_.path()), load_model_config(folder_.path()),
                        options);
  }
  std::string load_error(const WeightOptions& options = kOptions) {
    return error_of([&] { (void)load(options); });
  }

  TempFolder folder_;
  const std::string file_ = (folder_ / "model.safetensors").string();
  TinyCheckpoint checkpoint_;
};

TEST_F(LoadWeightsTest, HeadIsTheDifferenceOfTheLabelRows) {
  EXPECT_TRUE(at::allclose(load().label_difference, at::tensor({0.25f, 2.0f, 0.0f, 0.0f}), 0, 0));
}

TEST_F(LoadWeightsTest, TiedEmbeddingsServeAsHead) {
  checkpoint_.config["tie_word_embeddings"] = true;
  checkpoint_.remove("lm_head.weight");
  EXPECT_TRUE(at::allclose(load().label_difference, at::tensor({2.0f, 0.0f, 0.0f, -2.0f}), 0, 0));
}

TEST_F(LoadWeightsTest, AHeadThatIsThereWinsOverTiedEmbeddings) {
  checkpoint_.config["tie_word_embeddings"] = true;
  EXPECT_TRUE(at::allclose(load().label_difference, at::tensor({0.25f, 2.0f, 0.0f, 0.0f}), 0, 0));
}

TEST_F(LoadWeightsTest, TiedHeadServesAsEmbeddings) {
  checkpoint_.config["tie_word_embeddings"] = true;
  checkpoint_.remove("model.embed_tokens.weight");
  EXPECT_EQ(load().embed_tokens[0][1].item().toFloat(), 3.0f);
}

TEST_F(LoadWeightsTest, FusedPartsLieInOrder) {
  const auto fill = [&](const char* name, int num_values, float value) {
    checkpoint_.tensor(name).bytes = float32_bytes(std::vector<float>(num_values, value));
  };
  fill("model.layers.0.self_attn.q_proj.weight", 16, 1);
  fill("model.layers.0.self_attn.k_proj.weight", 8, 2);
  fill("model.layers.0.self_attn.v_proj.weight", 8, 3);
  fill("model.layers.0.mlp.gate_proj.weight", 12, 4);
  fill("model.layers.0.mlp.up_proj.weight", 12, 5);
  const LayerWeights layer = load().layer(0);
  const at::Tensor qkv = at::tensor({1.f, 1.f, 1.f, 1.f, 2.f, 2.f, 3.f, 3.f});
  EXPECT_TRUE(at::allclose(layer.qkv_proj.weight.select(1, 3), qkv, 0, 0));
  EXPECT_TRUE(at::allclose(layer.gate_up_proj.weight.select(1, 0), at::tensor({4.f, 4.f, 4.f, 5.f, 5.f, 5.f}), 0, 0));
  EXPECT_FALSE(layer.qkv_proj.bias.defined());
  const Linear keys = layer.qkv_proj.outputs(4, 2);
  EXPECT_TRUE(at::allclose(keys.apply(at::tensor({1.f, 0.f, 0.f, 1.f}).view({1, 4})), at::tensor({4.f, 4.f}), 0, 0));
}

TEST_F(LoadWeightsTest, LayersAreConvertedAndEmbeddingsAreNot) {
  const ModelWeights weights = load({.precision = {.dtype = at::kBFloat16}, .label_a_id = 0, .label_b_id = 2});
  EXPECT_EQ(weights.layer(0).o_proj.weight.scalar_type(), at::kBFloat16);
  EXPECT_EQ(weights.embed_tokens.scalar_type(), at::kFloat);
  EXPECT_EQ(weights.norm.scalar_type(), at::kFloat);
  EXPECT_EQ(weights.label_difference.scalar_type(), at::kFloat);
}

TEST_F(LoadWeightsTest, NamesAMissingTensor) {
  checkpoint_.remove("lm_head.weight");
  EXPECT_EQ(load_error(), file_ + ": lm_head.weight: expected a tensor [3, 4], found none of that name");
  checkpoint_.config["attention_bias"] = true;
  EXPECT_EQ(load_error(),
            file_ + ": model.layers.0.self_attn.q_proj.bias: expected a tensor [4], found none of that name");
}

TEST_F(LoadWeightsTest, NamesAMisshapenTensor) {
  checkpoint_.config["vocab_size"] = 5;
  EXPECT_EQ(load_error(), file_ + ": model.embed_tokens.weight: expected [5, 4], got [3, 4]");
  checkpoint_.config["vocab_size"] = 3;
  checkpoint_.tensor("model.layers.0.mlp.down_proj.weight").shape = {3, 4};
  EXPECT_EQ(load_error(), file_ + ": model.layers.0.mlp.down_proj.weight: expected [4, 3], got [3, 4]");
}

TEST_F(LoadWeightsTest, NamesATensorOfAnotherDtype) {
  checkpoint_.tensor("model.norm.weight").dtype = "I32";
  EXPECT_EQ(load_error(), file_ + ": model.norm.weight: dtype: expected F32, F16 or BF16, got I32");
}

TEST_F(LoadWeightsTest, ToleratesTensorsThatAreNotUsed) {
  checkpoint_.tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "I64", {1}, "12345678"});
  EXPECT_EQ(load_error(), "");
}

TEST_F(LoadWeightsTest, RejectsLabelsThatAreNoTwoIdsOfTheVocabulary) {
  EXPECT_EQ(load_error({.label_a_id = 3, .label_b_id = 0}), "label id: expected 0 to 2 (vocab_size), got 3");
  EXPECT_EQ(load_error({.label_a_id = 0, .label_b_id = -1}), "label id: expected 0 to 2 (vocab_size), got -1");
  EXPECT_EQ(load_error({.label_a_id = 1, .label_b_id = 1}), "label ids: expected two different ones, got 1 twice");
}

TEST(ToTensor, ViewsAlignedBytesAndCopiesOthers) {
  alignas(8) std::array<std::byte, 12> memory = {};
  const float value = 1.5f;
  for (const size_t offset : {4, 1}) {
    std::memcpy(memory.data() + offset, &value, sizeof(value));
    const StoredTensor stored = {
        .file = "m", .dtype = "F32", .shape = {1}, .bytes = std::span(memory).subspan(offset, 4)};
    const at::Tensor tensor = to_tensor(stored);
    EXPECT_EQ(tensor.item().toFloat(), 1.5f);
    EXPECT_EQ(tensor.const_data_ptr() == memory.data() + offset, offset == 4);
  }
}

TEST(ToTensor, ReadsEachDtype) {
  // 1.5 = 0x3FC00000 in float32, 0x3FC0 in bfloat16, 0x3E00 in float16; little-endian.
  const auto read = [](const char* dtype, std::string bytes) {
    bytes.reserve(64);
    return to_tensor({.file = "m", .dtype = dtype, .shape = {1}, .bytes = std::as_bytes(std::span(bytes))})
        .to(at::kDouble)
        .item()
        .toDouble();
  };
  EXPECT_EQ(read("F32", std::string("\x00\x00\xC0\x3F", 4)), 1.5);
  EXPECT_EQ(read("BF16", std::string("\xC0\x3F", 2)), 1.5);
  EXPECT_EQ(read("F16", std::string("\x00\x3E", 2)), 1.5);
}

}  // namespace
}  // namespace prm_score
