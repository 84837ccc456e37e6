// The oracle against transformers on the checkpoints of scripts/make_checkpoints.py.
#include <algorithm>
#include <cmath>
#include <fstream>

#include "checkpoint_builder.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prm_score/model/transformer.h"

namespace prm_score {
namespace {

constexpr const char* kCheckpoints[] = {"qwen2-sharded", "qwen2-tied",      "qwen3",        "llama3",
                                        "llama-biased",  "mistral-sliding", "mistral-nemo", "qwen2-odd-sizes"};

// The contract's bound for float32 against transformers in float64.
double float32_tolerance(double expected) { return 1e-4 * std::max(1.0, std::abs(expected)); }

std::filesystem::path folder_of(const std::string& name) {
  return std::filesystem::path(PRM_SCORE_DATA_DIR) / "golden" / "checkpoints" / name;
}

nlohmann::json golden_of(const std::string& name) {
  std::ifstream file(folder_of(name + ".golden.json"));
  return nlohmann::json::parse(file);
}

Transformer open(const std::string& name, const std::filesystem::path& folder, at::ScalarType dtype = at::kFloat) {
  const auto labels = golden_of(name).at("label_ids");
  return Transformer(folder, {.precision = {.dtype = dtype}, .label_a_id = labels[0], .label_b_id = labels[1]});
}

class TransformerGoldenTest : public ::testing::TestWithParam<const char*> {};

TEST_P(TransformerGoldenTest, LogOddsAgreeInFloat32) {
  const Transformer transformer = open(GetParam(), folder_of(GetParam()));
  const nlohmann::json golden = golden_of(GetParam());
  ASSERT_GE(golden.at("prompts").size(), 8u);
  double max_difference = 0;
  for (const auto& prompt : golden.at("prompts")) {
    const auto input_ids = prompt.at("input_ids").get<std::vector<int32_t>>();
    const double expected = prompt.at("log_odds");
    const double got = transformer.log_odds(input_ids);
    EXPECT_NEAR(got, expected, float32_tolerance(expected)) << input_ids.size() << " tokens";
    max_difference = std::max(max_difference, std::abs(got - expected));
  }
  RecordProperty("max_difference_1e9", static_cast<int>(max_difference * 1e9));
}

TEST_P(TransformerGoldenTest, HiddenStatesAgreeLayerByLayer) {
  const auto golden = golden_of(GetParam()).at("hidden_states");
  const auto states =
      open(GetParam(), folder_of(GetParam())).hidden_states(golden.at("input_ids").get<std::vector<int32_t>>());
  const auto& expected = golden.at("values");
  ASSERT_EQ(states.size(), expected.size());
  for (size_t layer = 0; layer < states.size(); ++layer) {
    ASSERT_EQ(states[layer].sizes().vec(), (std::vector<int64_t>{static_cast<int64_t>(expected[layer].size()),
                                                                 static_cast<int64_t>(expected[layer][0].size())}));
    for (size_t row = 0; row < expected[layer].size(); ++row) {
      for (size_t i = 0; i < expected[layer][row].size(); ++i) {
        const double value = expected[layer][row][i];
        const double got = states[layer][static_cast<int64_t>(row)][static_cast<int64_t>(i)].item().toDouble();
        ASSERT_NEAR(got, value, float32_tolerance(value))
            << "layer " << layer << ", row " << row << ", component " << i;
      }
    }
  }
}

TEST_P(TransformerGoldenTest, SizesAreThoseOfTheReference) {
  const Transformer transformer = open(GetParam(), folder_of(GetParam()));
  EXPECT_EQ(transformer.config().max_positions(), golden_of(GetParam()).at("max_positions"));
  EXPECT_EQ(transformer.config().num_parameters(), golden_of(GetParam()).at("num_parameters"));
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, TransformerGoldenTest, ::testing::ValuesIn(kCheckpoints), [](const auto& golden) {
  std::string name = golden.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

struct Errors {
  double sum = 0;
  double max = 0;
  void add(double error) {
    sum += std::abs(error);
    max = std::max(max, std::abs(error));
  }
};

// Both round at the same places, so over all prompts the errors are of one size; the factors are the contract's.
TEST(TransformerGolden, Bfloat16ErrorsAreNoLargerThanThoseOfTheReference) {
  Errors ours;
  Errors reference;
  for (const char* name : kCheckpoints) {
    const Transformer transformer = open(name, folder_of(name), at::kBFloat16);
    const nlohmann::json golden = golden_of(name);
    for (const auto& prompt : golden.at("prompts")) {
      const double expected = prompt.at("log_odds");
      ours.add(transformer.log_odds(prompt.at("input_ids").get<std::vector<int32_t>>()) - expected);
      reference.add(prompt.at("log_odds_bfloat16").get<double>() - expected);
    }
  }
  ASSERT_GT(reference.sum, 0);
  EXPECT_LE(ours.sum, 1.25 * reference.sum);
  EXPECT_LE(ours.max, 2 * reference.max);
  RecordProperty("mean_ratio", std::to_string(ours.sum / reference.sum));
  RecordProperty("max_ratio", std::to_string(ours.max / reference.max));
}

// A header of odd length puts every tensor at an odd address.
TEST(TransformerGolden, UnalignedTensorsGiveTheSame) {
  const std::string name = "qwen3";
  const TempFolder folder;
  std::filesystem::copy(folder_of(name) / "config.json", folder / "config.json");
  std::ifstream file(folder_of(name) / "model.safetensors", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), sizeof(header_size));
  folder.write("model.safetensors",
               safetensors_file(bytes.substr(8, header_size) + " ", std::string_view(bytes).substr(8 + header_size)));

  const auto input_ids = golden_of(name).at("prompts")[3].at("input_ids").get<std::vector<int32_t>>();
  EXPECT_NEAR(open(name, folder.path()).log_odds(input_ids), open(name, folder_of(name)).log_odds(input_ids), 1e-5);
}

}  // namespace
}  // namespace prm_score
