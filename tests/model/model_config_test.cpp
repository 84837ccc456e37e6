#include "prm_score/model/model_config.h"

#include "checkpoint_builder.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace prm_score {
namespace {

using nlohmann::json;

// Qwen2.5-0.5B as it is published.
json qwen2() {
  return {{"model_type", "qwen2"},       {"vocab_size", 151936},
          {"hidden_size", 896},          {"intermediate_size", 4864},
          {"num_hidden_layers", 24},     {"num_attention_heads", 14},
          {"num_key_value_heads", 2},    {"max_position_embeddings", 32768},
          {"max_window_layers", 24},     {"sliding_window", 32768},
          {"use_sliding_window", false}, {"hidden_act", "silu"},
          {"rms_norm_eps", 1e-6},        {"rope_theta", 1000000.0},
          {"tie_word_embeddings", true}, {"torch_dtype", "bfloat16"}};
}

json family(const char* model_type) {
  json config = qwen2();
  config["model_type"] = model_type;
  config["head_dim"] = 64;
  return config;
}

ModelConfig parse(const json& config) { return parse_model_config(config.dump(), "config.json"); }

// The message for `config` with some members replaced.
std::string error_with(json config, const json& changes) {
  config.update(changes);
  return error_of([&] { (void)parse(config); });
}

std::string error_without(json config, const char* key) {
  config.erase(key);
  return error_of([&] { (void)parse(config); });
}

TEST(ParseModelConfig, ReadsQwen2) {
  const ModelConfig config = parse(qwen2());
  EXPECT_EQ(config.model_type, "qwen2");
  EXPECT_EQ(config.vocab_size, 151936);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.max_positions(), 32768);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);
  EXPECT_EQ(config.rope_parameters.rope_theta, 1000000.0);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_FALSE(config.o_proj_bias || config.mlp_bias || config.qk_norm);
  EXPECT_FALSE(config.sliding_window);
}

TEST(ParseModelConfig, FamiliesDifferInFlags) {
  json llama = family("llama");
  llama["attention_bias"] = llama["mlp_bias"] = true;
  EXPECT_TRUE(parse(llama).qkv_bias && parse(llama).o_proj_bias && parse(llama).mlp_bias);
  EXPECT_FALSE(parse(family("llama")).qkv_bias || parse(family("llama")).mlp_bias);

  json qwen3 = family("qwen3");
  EXPECT_TRUE(parse(qwen3).qk_norm);
  EXPECT_FALSE(parse(qwen3).qkv_bias);
  qwen3["attention_bias"] = true;
  EXPECT_TRUE(parse(qwen3).qkv_bias && parse(qwen3).o_proj_bias);

  json mistral = family("mistral");  // its layers have no biases, whatever the file says
  mistral["attention_bias"] = true;
  EXPECT_FALSE(parse(mistral).qkv_bias || parse(mistral).o_proj_bias);
}

TEST(ParseModelConfig, NamesAnUnknownModelType) {
  EXPECT_EQ(error_with(qwen2(), {{"model_type", "gemma2"}}),
            "config.json: model_type: expected qwen2, qwen3, llama or mistral, got \"gemma2\"");
}

TEST(ParseModelConfig, MissingFieldsAreNotGuessed) {
  for (const char* key :
       {"model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "hidden_act"}) {
    EXPECT_EQ(error_without(qwen2(), key), std::string("config.json: ") + key + ": missing field");
  }
  EXPECT_EQ(error_without(family("qwen3"), "head_dim"), "config.json: head_dim: missing field");
}

TEST(ParseModelConfig, RejectsAbsurdValues) {
  const auto error = [](const char* key, const json& value) { return error_with(qwen2(), {{key, value}}); };
  EXPECT_EQ(error("hidden_size", 0), "config.json: hidden_size: expected an integer from 1 to 131072, got 0");
  EXPECT_EQ(error("vocab_size", -5), "config.json: vocab_size: expected an integer from 1 to 16777216, got -5");
  EXPECT_EQ(error("num_hidden_layers", 2.5),
            "config.json: num_hidden_layers: expected an integer from 1 to 4096, got 2.5");
  EXPECT_EQ(error("intermediate_size", "4864"),
            "config.json: intermediate_size: expected an integer from 1 to 1048576, got \"4864\"");
  EXPECT_EQ(error("max_position_embeddings", 1e18),
            "config.json: max_position_embeddings: expected an integer from 1 to 1073741824, got 1e+18");
  EXPECT_EQ(error("max_position_embeddings", true),
            "config.json: max_position_embeddings: expected an integer from 1 to 1073741824, got true");
  EXPECT_EQ(error("num_key_value_heads", 3),
            "config.json: num_key_value_heads: expected a divisor of num_attention_heads 14, got 3");
  EXPECT_EQ(error("num_key_value_heads", 28),
            "config.json: num_key_value_heads: expected a divisor of num_attention_heads 14, got 28");
  EXPECT_EQ(error("head_dim", 63), "config.json: head_dim: expected an even number, got 63");
  EXPECT_EQ(error("hidden_size", 897),
            "config.json: hidden_size: expected an even multiple of num_attention_heads 14 "
            "as there is no head_dim, got 897");
  EXPECT_EQ(error("rms_norm_eps", 0), "config.json: rms_norm_eps: expected a positive number, got 0");
  EXPECT_EQ(error("rms_norm_eps", "1e-6"), "config.json: rms_norm_eps: expected a positive number, got \"1e-6\"");
  EXPECT_EQ(error("rope_theta", -1.0), "config.json: rope_theta: expected a positive number, got -1.0");
  EXPECT_EQ(error("tie_word_embeddings", 1), "config.json: tie_word_embeddings: expected true or false, got 1");
}

TEST(ParseModelConfig, RejectsWhatIsNotImplemented) {
  const auto error = [](const char* key, const json& value) { return error_with(qwen2(), {{key, value}}); };
  EXPECT_EQ(error("hidden_act", "gelu"), "config.json: hidden_act: expected \"silu\", got \"gelu\"");
  EXPECT_EQ(error("partial_rotary_factor", 0.5), "config.json: partial_rotary_factor: expected 1, got 0.5");
  EXPECT_EQ(
      error("quantization_config", {{"quant_method", "awq"}}),
      "config.json: quantization_config: quant_method: expected prm-score-int8 (prm-score quantize) or weights as "
      "trained, got \"awq\"");
  EXPECT_EQ(error("quantization_config", {{"quant_method", "prm-score-int8"}, {"layout", 2}}),
            "config.json: quantization_config: layout: expected 1 (quantise the checkpoint again), got 2");
  EXPECT_EQ(error("is_causal", false), "config.json: is_causal: expected true, got false");
  EXPECT_EQ(error("partial_rotary_factor", 1.0), "");
  EXPECT_EQ(error("quantization_config", nullptr), "");
}

TEST(ParseModelConfig, RejectsMalformedText) {
  const auto error = [](const char* text) { return error_of([&] { (void)parse_model_config(text, "config.json"); }); };
  EXPECT_EQ(error("[]"), "config.json: expected an object, got []");
  EXPECT_NE(error("").find("config.json: expected JSON: "), std::string::npos);
  EXPECT_NE(error(R"({"model_type":"qwen2",})").find("config.json: expected JSON: "), std::string::npos);
  EXPECT_EQ(error(R"({"vocab_size":1,"vocab_size":2})"),
            R"(config.json: expected each key once, got "vocab_size" twice)");
}

TEST(ParseModelConfig, HeadsDefaultAsInTheReference) {
  json llama = family("llama");
  llama.erase("num_key_value_heads");
  EXPECT_EQ(parse(llama).num_key_value_heads, 14);
  json config = qwen2();
  config["num_key_value_heads"] = nullptr;
  config["head_dim"] = nullptr;
  EXPECT_EQ(parse(config).num_key_value_heads, 14);
  EXPECT_EQ(parse(config).head_dim, 64);
  config["head_dim"] = 128;  // need not be hidden_size / num_attention_heads
  EXPECT_EQ(parse(config).query_size(), 14 * 128);
}

TEST(RopeParameters, BothSpellingsMeanTheSame) {
  const json llama3 = {{"factor", 8.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 8192},
                       {"rope_type", "llama3"}};
  json old_spelling = family("llama");
  old_spelling["rope_scaling"] = llama3;
  old_spelling["rope_theta"] = 500000.0;
  json new_spelling = family("llama");
  new_spelling.erase("rope_theta");
  new_spelling["rope_parameters"] = llama3;
  new_spelling["rope_parameters"]["rope_theta"] = 500000.0;
  for (const json& spelling : {old_spelling, new_spelling}) {
    const RopeParameters rope = parse(spelling).rope_parameters;
    EXPECT_EQ(rope.rope_type, RopeType::kLlama3);
    EXPECT_EQ(rope.rope_theta, 500000.0);
    EXPECT_EQ(rope.factor, 8.0);
    EXPECT_EQ(rope.low_freq_factor, 1.0);
    EXPECT_EQ(rope.high_freq_factor, 4.0);
    EXPECT_EQ(rope.original_max_position_embeddings, 8192);
  }
}

TEST(RopeParameters, ThetaInsideWinsAndAbsentThetaIs10000) {
  json config = qwen2();
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 5000}};
  EXPECT_EQ(parse(config).rope_parameters.rope_theta, 5000.0);
  config = qwen2();
  config.erase("rope_theta");
  config["rope_scaling"] = nullptr;
  EXPECT_EQ(parse(config).rope_parameters.rope_theta, 10000.0);
}

TEST(RopeParameters, ScalingsThatChangeNothingAreDefault) {
  for (const json& scaling : {json{{"type", "default"}}, json{{"type", "linear"}, {"factor", 1.0}},
                              json{{"rope_type", "dynamic"}, {"factor", 4.0}}, json::object()}) {
    json config = qwen2();
    config["rope_scaling"] = scaling;
    EXPECT_EQ(parse(config).rope_parameters.rope_type, RopeType::kDefault) << scaling;
  }
}

TEST(RopeParameters, RejectsScalingsThatAreNotImplemented) {
  const auto error = [](const json& scaling) { return error_with(qwen2(), {{"rope_scaling", scaling}}); };
  const std::string place = "config.json: rope_scaling: ";
  EXPECT_EQ(error({{"type", "yarn"}, {"factor", 4.0}}), place + "type: expected default or llama3, got \"yarn\"");
  EXPECT_EQ(error({{"rope_type", "longrope"}}), place + "rope_type: expected default or llama3, got \"longrope\"");
  EXPECT_EQ(error({{"rope_type", "linear"}, {"factor", 2.0}}), place + "factor: expected 1 for linear, got 2.0");
  EXPECT_EQ(error({{"rope_type", "default"}, {"partial_rotary_factor", 0.25}}),
            place + "partial_rotary_factor: expected 1, got 0.25");
  EXPECT_EQ(error("yarn"), place.substr(0, place.size() - 2) + ": expected an object, got \"yarn\"");
  EXPECT_EQ(error({{"rope_type", "llama3"}}), place + "factor: missing field");
  EXPECT_EQ(error({{"rope_type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}),
            place + "high_freq_factor: expected more than low_freq_factor, got 4");
  EXPECT_EQ(
      error_with(qwen2(), {{"rope_parameters", {{"full_attention", {{"rope_theta", 1e4}}}}}}),
      "config.json: rope_parameters: full_attention: expected one set of parameters for all layers, got an object");
}

TEST(SlidingWindow, BoundsThePositionsOfMistral) {
  json config = family("mistral");
  config["sliding_window"] = 4096;
  EXPECT_EQ(parse(config).max_positions(), 4096);
  config["max_position_embeddings"] = 2048;
  EXPECT_EQ(parse(config).max_positions(), 2048);
  config["sliding_window"] = nullptr;  // v0.2 and later
  EXPECT_FALSE(parse(config).sliding_window);
  config.erase("sliding_window");  // the reference's default
  EXPECT_EQ(parse(config).sliding_window, 4096);
}

TEST(SlidingWindow, OfQwenNeedsTheFlagAndALayer) {
  json config = qwen2();
  config["sliding_window"] = 1000;
  EXPECT_EQ(parse(config).max_positions(), 32768);
  config["use_sliding_window"] = true;  // max_window_layers 24 of 24 layers: none slides
  EXPECT_EQ(parse(config).max_positions(), 32768);
  config["max_window_layers"] = 23;
  EXPECT_EQ(parse(config).max_positions(), 1000);
  config["layer_types"] = std::vector<std::string>(24, "full_attention");  // wins over max_window_layers
  EXPECT_EQ(parse(config).max_positions(), 32768);
  config["layer_types"][7] = "sliding_attention";
  EXPECT_EQ(parse(config).max_positions(), 1000);
}

TEST(SlidingWindow, RejectsContradictions) {
  json config = qwen2();
  config["layer_types"] = std::vector<std::string>(24, "sliding_attention");
  EXPECT_NE(error_of([&] { (void)parse(config); }).find("full_attention only, as use_sliding_window is not true"),
            std::string::npos);
  config["layer_types"][3] = "linear_attention";
  EXPECT_EQ(error_of([&] { (void)parse(config); }),
            "config.json: layer_types: expected full_attention or sliding_attention, got "
            "\"linear_attention\"");
  config["layer_types"] = {"full_attention"};
  EXPECT_EQ(error_of([&] { (void)parse(config); }),
            "config.json: layer_types: expected a list of num_hidden_layers 24, got [\"full_attention\"]");
}

// As published: https://huggingface.co/Qwen/Qwen2.5-0.5B, 494,032,768 parameters; the model card of Qwen2.5-7B says
// 7.61 billion, transformers counts 7,615,616,512.
TEST(ModelConfig, CountsParameters) {
  EXPECT_EQ(parse(qwen2()).num_parameters(), 494032768);
  json big = qwen2();
  big.update({{"vocab_size", 152064},
              {"hidden_size", 3584},
              {"intermediate_size", 18944},
              {"num_hidden_layers", 28},
              {"num_attention_heads", 28},
              {"num_key_value_heads", 4},
              {"tie_word_embeddings", false}});
  EXPECT_EQ(parse(big).num_parameters(), 7615616512);
}

TEST(WeightBytes, CountsLayersInComputeAndEmbeddingsInCheckpointDtype) {
  const ModelConfig config = parse(qwen2());
  const int64_t embeddings = 151936 * 896;
  const int64_t layers = 494032768 - embeddings - 896;
  const int64_t norm_and_head = 2 * 896 * 4;
  EXPECT_EQ(weight_bytes(config, {.compute = 4, .checkpoint = 2}), 4 * layers + 2 * embeddings + norm_and_head);
  EXPECT_EQ(weight_bytes(config, {.compute = 2, .checkpoint = 2}), 2 * layers + 2 * embeddings + norm_and_head);
  // 24 layers: but for the first one a byte each, but for o, gate, up and down of the last one.
  const int64_t qkv = (896 + 2 * 128) * 896, others = 896 * 896 + 3 * 896 * 4864;
  EXPECT_EQ(weight_bytes(config, {.compute = 4, .checkpoint = 2, .rounded = 1}),
            4 * layers - 3 * (23 * qkv + 22 * others) + 2 * embeddings + norm_and_head);
}

TEST(LoadModelConfig, ReadsTheFileOfTheFolder) {
  const TempFolder folder;
  EXPECT_EQ(error_of([&] { (void)load_model_config(folder.path()); }),
            (folder / "config.json").string() + ": cannot open: No such file or directory");
  folder.write("config.json", qwen2().dump());
  EXPECT_EQ(load_model_config(folder.path()).hidden_size, 896);
}

}  // namespace
}  // namespace prm_score
