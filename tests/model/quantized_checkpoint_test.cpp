#include "prm_score/model/quantized_checkpoint.h"

#include <cstring>
#include <iterator>
#include <numeric>
#include <set>

#include "checkpoint_builder.h"
#include "judge_plans.h"
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "prm_score/model/cpu_step_model.h"
#include "prm_score/model/safetensors.h"
#include "prm_score/model/tensor_source.h"
#include "prm_score/model/transformer.h"
#include "prm_score/model/weights.h"
#include "prm_score/score/self_check.h"
#include "prm_score/score/shared_prefix_engine.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

const fs::path kCheckpoints = fs::path(PRM_SCORE_DATA_DIR) / "golden/checkpoints";

// All families, with and without biases, norms of heads, tied embeddings, shards and an even number of bytes.
// Those have two layers, of which only the second one's qkv_proj is rounded; the shipped judge has seven.
const std::vector<std::string> kNames = {"qwen2-sharded", "qwen2-tied",      "qwen3",           "llama3",
                                         "llama-biased",  "mistral-sliding", "../../tiny-judge"};

std::optional<QuantizedSize> quantize(const fs::path& from, const fs::path& to) {
  return write_quantized(from, to, at::get_num_threads(), [](int64_t, int64_t) { return true; });
}

WeightOptions in(Quantization quantization) {
  return {.precision = {.quantization = quantization}, .label_a_id = 32, .label_b_id = 33};
}

float log_odds(const std::shared_ptr<const LoadedModel>& model) {
  std::vector<int32_t> ids(100);
  std::iota(ids.begin(), ids.end(), 20);
  return Transformer(model).log_odds(ids);
}

// By the engine: its products of float32 do not depend on where in memory the layers that are not rounded lie.
LogOdds judged(const std::shared_ptr<const LoadedModel>& model) {
  SharedPrefixEngine engine(std::make_unique<CpuStepModel>(model), 1000);
  return judge_plans(engine, self_check_plans(model->config.vocab_size, model->config.max_positions()));
}

TEST(QuantizedCheckpoint, HasTheBitsOfQuantisingAtLoad) {
  const TempFolder folder;
  for (const std::string& name : kNames) {
    const fs::path to = folder / fs::path(name).filename().string();
    const auto size = quantize(kCheckpoints / name, to);
    ASSERT_TRUE(size);
    EXPECT_EQ(size->num_bytes_before, SafetensorsSource(kCheckpoints / name).num_bytes());
    EXPECT_EQ(size->num_bytes, SafetensorsSource(to).num_bytes());
    const auto stored = load_model(to, in(Quantization::kInt8));
    const auto quantized = load_model(kCheckpoints / name, in(Quantization::kInt8));
    EXPECT_EQ(stored->config.quantization, Quantization::kInt8);
    EXPECT_EQ(judged(stored), judged(quantized)) << name;
    EXPECT_NE(judged(stored), judged(load_model(kCheckpoints / name, in(Quantization::kNone)))) << name;
  }
}

// What the self-check measures against: the numbers that the integers stand for, the inputs not rounded.
TEST(QuantizedCheckpoint, InFloat32ItIsNearTheCheckpoint) {
  const TempFolder folder;
  (void)quantize(kCheckpoints / "qwen2-sharded", folder / "q");
  const auto stored = load_model(folder / "q", in(Quantization::kInt8));
  const auto exact = load_model(kCheckpoints / "qwen2-sharded", in(Quantization::kNone));
  const float found = log_odds(in_float32(*stored)), expected = log_odds(exact);
  EXPECT_NE(found, expected);
  EXPECT_NEAR(found, expected, 0.05 * std::max(1.0F, std::abs(expected)));
}

TEST(QuantizedCheckpoint, IntegersLieAtMultiplesOf64InTheFile) {
  const TempFolder folder;
  (void)quantize(fs::path(PRM_SCORE_DATA_DIR) / "tiny-judge", folder / "q");
  const SafetensorsReader files(folder / "q");
  int num_found = 0;
  for (const auto& [name, tensor] : files.tensors()) {
    if (!name.ends_with(kInt8Suffix)) continue;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes.data()) % 64, 0u) << name;
    ++num_found;
  }
  EXPECT_EQ(num_found, 4 * load_model_config(folder / "q").num_hidden_layers - 7);  // 4 of the first, 3 of the last
}

TEST(QuantizedCheckpoint, RefusesWhatIsQuantisedAndWhatIsThere) {
  const TempFolder folder;
  const fs::path from = kCheckpoints / "qwen2-tied", to = folder / "q", second = folder / "q2";
  (void)quantize(from, to);
  EXPECT_EQ(error_of([&] { (void)quantize(to, second); }),
            (to / "config.json").string() +
                ": quantization_config: expected weights as trained, found a quantised checkpoint");
  EXPECT_EQ(error_of([&] { (void)quantize(from, to); }), to.string() + ": already there");
  EXPECT_EQ(error_of([&] { (void)quantize(from, to / ""); }), to.string() + ": already there");
  EXPECT_EQ(error_of([&] { (void)quantize(from, "/proc/q"); }),
            "/proc/q: cannot be written: No such file or directory");
  EXPECT_FALSE(fs::exists(second));
}

TEST(QuantizedCheckpoint, LeavesNothingWhenGivenUp) {
  const TempFolder folder;
  EXPECT_FALSE(write_quantized(kCheckpoints / "qwen2-tied", folder / "q", 1,
                               [](int64_t num_done, int64_t /*num_layers*/) { return num_done < 2; }));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(QuantizedCheckpoint, HasTheFilesOfTheCheckpointAndNothingElse) {
  const TempFolder folder;
  const fs::path from = kCheckpoints / "qwen2-sharded";
  (void)quantize(from, folder / "q");
  std::set<std::string> found, expected = {"config.json", "model.safetensors"};
  for (const auto& file : fs::directory_iterator(folder / "q")) found.insert(file.path().filename());
  for (const auto& file : fs::directory_iterator(from)) {
    const std::string name = file.path().filename();
    if (name.starts_with("tokenizer")) expected.insert(name);
  }
  EXPECT_EQ(found, expected);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

// Of a file that another program wrote anew, or that is broken.
TEST(QuantizedCheckpoint, ReadsWhatLiesElsewhereAndNamesWhatIsMissing) {
  const TempFolder folder;
  (void)quantize(kCheckpoints / "qwen2-tied", folder / "q");
  const LogOdds expected = judged(load_model(folder / "q", in(Quantization::kInt8)));
  std::vector<TensorToWrite> tensors;
  {
    const SafetensorsReader files(folder / "q");
    for (const auto& [name, tensor] : files.tensors()) {
      tensors.push_back({name, tensor.dtype, tensor.shape,
                         std::string(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size())});
    }
  }
  const auto write = [&] { folder.write("q/model.safetensors", safetensors_file(tensors)); };
  write();
  EXPECT_EQ(judged(load_model(folder / "q", in(Quantization::kInt8))), expected);

  const auto error = [&] {
    write();
    return error_of([&] { (void)load_model(folder / "q", in(Quantization::kInt8)); });
  };
  const auto find = [&](const std::string& name) {
    return std::find_if(tensors.begin(), tensors.end(), [&](const TensorToWrite& t) { return t.name == name; });
  };
  const std::string file = (folder / "q/model.safetensors").string() + ": ";
  const std::string name = "model.layers.1.self_attn.qkv_proj.int8";
  const auto qkv = find(name);
  qkv->dtype = "I8";
  EXPECT_EQ(error(), file + name + ": dtype: expected U8, got I8");
  qkv->dtype = "U8";
  const auto size = std::ssize(qkv->bytes);
  qkv->bytes.resize(size - 64);
  qkv->shape = {size - 64};
  EXPECT_EQ(error(),
            file + name + ": expected [" + std::to_string(size) + "], got [" + std::to_string(size - 64) + "]");
  tensors.erase(qkv);
  EXPECT_EQ(error(), file + name + ": expected a tensor [" + std::to_string(size) + "], found none of that name");
}

}  // namespace
}  // namespace prm_score
