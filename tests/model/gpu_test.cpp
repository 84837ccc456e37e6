// What only a GPU can show: that its kernels do what the engine asks of them, with the same bits wherever a row lies.
// Skipped without one, or, with PRM_SCORE_TEST_REQUIRE_GPU set, a failure. The first thing of each test is to look for
// the GPU: libtorch does so but once.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <utility>

#include "checkpoint_builder.h"
#include "judge_plans.h"
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/model/cuda_row_operations.h"
#include "prm_score/model/device.h"
#include "prm_score/model/device_step_model.h"
#include "prm_score/model/fp8_linear.h"
#include "prm_score/model/precision.h"
#include "prm_score/model/splitting_step_model.h"
#include "prm_score/model/varlen_attention.h"
#include "prm_score/score/engine.h"
#include "prm_score/score/self_check.h"
#include "prm_score/score/shared_prefix_engine.h"

namespace prm_score {
namespace {

bool has_gpu() {
  static const bool is_required = std::getenv("PRM_SCORE_TEST_REQUIRE_GPU") != nullptr;
  static const bool found = parse_devices(is_required ? "cuda" : "auto").at(0).is_cuda();
  return found;
}

#define SKIP_WITHOUT_GPU() \
  if (!has_gpu()) GTEST_SKIP() << "no GPU"

std::shared_ptr<const LoadedModel> judge_on_gpu(const char* folder, const Precision& precision) {
  return load_model(std::filesystem::path(PRM_SCORE_DATA_DIR) / folder,
                    {.device = at::kCUDA, .precision = precision, .label_a_id = 32, .label_b_id = 33});
}

// What this GPU can compute in.
std::vector<Precision> precisions() {
  std::vector<Precision> found = {{.dtype = at::kFloat}, {.dtype = at::kBFloat16}};
  constexpr int kHasFp8 = 89;
  if (compute_capability(0) >= kHasFp8) found.push_back({.dtype = at::kBFloat16, .quantization = Quantization::kFp8});
  return found;
}

// Queries and keys as the engine has them: parts of the rows of fused projections. More than one block of queries, keys
// that spans share, and a span without any.
TEST(GpuTest, HasTheNameAndTheDriverThatTheSystemKnows) {
  SKIP_WITHOUT_GPU();
  const auto text_of = [](const std::filesystem::path& file) {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string version = text_of("/proc/driver/nvidia/version");
  if (version.empty()) GTEST_SKIP() << "no /proc/driver/nvidia";
  EXPECT_NE(version.find(" " + gpu_driver_version() + " "), std::string::npos) << gpu_driver_version();
  std::string information;
  for (const auto& gpu : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus")) {
    information += text_of(gpu.path() / "information");
  }
  EXPECT_NE(information.find(gpu_model(0) + "\n"), std::string::npos) << gpu_model(0);
  EXPECT_EQ(gpu_model(1000), "unknown");
}

TEST(GpuTest, FlashAttentionDoesWhatPlainProductsDo) {
  SKIP_WITHOUT_GPU();
  at::manual_seed(4);
  constexpr int64_t kHeads = 6, kKeyHeads = 2;
  const std::vector<KeySpan> spans = {{0, 3, 4, 9}, {3, 4, 4, 2}, {4, 9, 0, 20}, {9, 309, 0, 700}, {309, 400, 8, 91}};
  for (const int64_t head_dim : {8, 64, 128}) {
    const at::TensorOptions options = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    const at::Tensor fused = at::randn({700, (kHeads + 2 * kKeyHeads) * head_dim}).to(options);
    const auto part = [&](int64_t begin, int64_t num_heads) {
      return fused.narrow(1, begin * head_dim, num_heads * head_dim).unflatten(-1, {num_heads, head_dim});
    };
    const at::Tensor query = part(0, kHeads).narrow(0, 0, 400);
    for (const bool is_causal : {false, true}) {
      const VarlenPlan plan = make_varlen_plan(spans, is_causal, at::kCUDA);
      const Attended flash = FlashAttention().attend(query, part(6, kKeyHeads), part(8, kKeyHeads), plan);
      const Attended plain = SpanwiseAttention().attend(query, part(6, kKeyHeads), part(8, kKeyHeads), plan);
      EXPECT_TRUE(at::allclose(flash.log_sum_exp, plain.log_sum_exp, 1e-2, 1e-2)) << head_dim;
      EXPECT_TRUE(at::allclose(flash.rows.to(at::kFloat), plain.rows.to(at::kFloat), 2e-2, 2e-2)) << head_dim;
    }
    const VarlenPlan none = make_varlen_plan({{0, 2, 0, 5}, {2, 4, 0, 0}}, /*is_causal=*/false, at::kCUDA);
    const Attended rows = FlashAttention().attend(query.narrow(0, 0, 4), part(6, kKeyHeads), part(8, kKeyHeads), none);
    EXPECT_EQ(rows.rows.narrow(0, 2, 2).abs().max().item<float>(), 0.0F) << head_dim;
  }
}

// What the promise of same bits stands on: blocks of the engine's two shapes, at the sizes of real models, with and
// without bias, from and to contiguous rows and parts of wider ones, as the engine has them.
TEST(GpuTest, ARowsProductIsTheSameAtEveryPlaceOfItsBlock) {
  SKIP_WITHOUT_GPU();
  at::manual_seed(5);
  constexpr std::pair<int64_t, int64_t> kProducts[] = {
      // inputs, outputs: 0.5B, 7B, the shipped judge, odd sizes; the last layer's keys and values
      {896, 1152},   {896, 896},   {896, 9728}, {4864, 896}, {896, 256}, {3584, 4608}, {3584, 3584}, {3584, 37888},
      {18944, 3584}, {3584, 1024}, {256, 512},  {256, 1408}, {704, 256}, {256, 128},   {112, 346},   {173, 112}};
  for (const auto& [num_inputs, num_outputs] : kProducts) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const at::TensorOptions options = at::TensorOptions(at::kCUDA).dtype(dtype);
      const at::Tensor weight = at::randn({num_outputs, num_inputs}, options), bias = at::randn({num_outputs}, options);
      for (const int64_t num_rows : {DeviceStepModel::kBlockRows, DeviceStepModel::kAnswerBlockRows}) {
        for (const int kind : {0, 1, 2, 3}) {
          const bool has_bias = kind % 2 == 1;
          const int64_t more = kind < 2 ? 0 : 64;  // columns beside
          const at::Tensor wide = at::randn({num_rows, num_inputs + more}, options);
          const auto product = [&, n = num_inputs, m = num_outputs](const at::Tensor& rows) {
            at::Tensor out = at::empty({num_rows, m + more}, options).narrow(1, more, m);
            const at::Tensor in = rows.narrow(1, 0, n);
            return has_bias ? at::addmm_out(out, bias, in, weight.t()) : at::mm_out(out, in, weight.t());
          };
          const at::Tensor plain = product(wide);
          for (const int64_t shift : {1, 64, 129}) {
            const at::Tensor moved = product(wide.roll({shift}, {0}).contiguous());
            EXPECT_TRUE(at::equal(plain.roll({shift}, {0}), moved))
                << num_inputs << " -> " << num_outputs << ", " << num_rows << " rows, "
                << precision_name({.dtype = dtype}) << ", kind " << kind;
          }
        }
      }
    }
  }
}

// Products whose sums are cut for the sake of speed must not lose their end.
TEST(GpuTest, ProductsAddUpEveryInput) {
  SKIP_WITHOUT_GPU();
  for (const int64_t num_inputs : {112, 173, 256, 704, 896, 3584, 4864, 18944}) {
    const at::TensorOptions options = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
    for (const int64_t num_rows : {DeviceStepModel::kBlockRows, DeviceStepModel::kAnswerBlockRows}) {
      const at::Tensor sums = at::mm(at::ones({num_rows, num_inputs}, options), at::ones({num_inputs, 896}, options));
      const float exact = at::full({1}, num_inputs, options).item<float>();  // the nearest that bfloat16 has
      EXPECT_TRUE((sums == exact).all().item<bool>()) << num_inputs;
    }
  }
}

// One pass over memory each, against libtorch's kernels one after another. Sizes of real models, and one with more
// groups of eight than a block has threads.
TEST(GpuTest, OwnRowKernelsDoWhatLibtorchsDo) {
  SKIP_WITHOUT_GPU();
  at::manual_seed(6);
  const CudaRowOperations fused(at::Device(at::kCUDA, 0));
  const LibtorchRowOperations plain(at::kBFloat16);
  const at::TensorOptions floats(at::kCUDA), bfloats = floats.dtype(at::kBFloat16);
  const auto near = [](const at::Tensor& found, const at::Tensor& expected) {
    return found.scalar_type() == at::kBFloat16 && found.sizes() == expected.sizes() &&
           at::allclose(found.to(at::kFloat), expected.to(at::kFloat), 2e-2, 2e-2);
  };
  for (const int64_t size : {64, 896, 3584, 8192, 12288}) {
    const at::Tensor hidden = at::randn({77, size}, floats), addend = at::randn({77, size}, bfloats);
    const at::Tensor weight = at::randn({size}, floats), same = hidden.clone();
    EXPECT_TRUE(near(fused.add_rms_norm(hidden, {}, weight, 1e-6), plain.add_rms_norm(same, {}, weight, 1e-6))) << size;
    EXPECT_TRUE(at::equal(hidden, same)) << size;
    EXPECT_TRUE(near(fused.add_rms_norm(hidden, addend, weight, 1e-6), plain.add_rms_norm(same, addend, weight, 1e-6)))
        << size;
    EXPECT_TRUE(at::equal(hidden, same)) << size;

    const at::Tensor gate_up = at::randn({77, 2 * size}, bfloats) * 3, same_gate_up = gate_up.clone();
    EXPECT_TRUE(near(fused.silu_and_mul(gate_up), plain.silu_and_mul(same_gate_up))) << size;
  }
  for (const auto& [num_heads, head_dim] : {std::pair<int64_t, int64_t>{32, 128}, {16, 64}, {3, 16}, {1, 256}}) {
    // Part of wider rows, as queries and keys are.
    const at::Tensor rows = at::randn({77, (num_heads + 2) * head_dim}, bfloats), same = rows.clone();
    const at::Tensor angles = at::randn({77, 1, head_dim / 2}, floats), cos = angles.cos(), sin = angles.sin();
    const auto heads = [&, n = num_heads, d = head_dim](const at::Tensor& of) {
      return of.narrow(1, 0, n * d).unflatten(1, {n, d});
    };
    fused.apply_rotary(heads(rows), cos, sin);
    plain.apply_rotary(heads(same), cos, sin);
    EXPECT_TRUE(near(rows, same)) << num_heads << " x " << head_dim;

    const auto attended = [&, n = num_heads, d = head_dim] {
      return Attended{.rows = at::randn({77, n, d}, bfloats), .log_sum_exp = at::randn({n, 77}, floats) * 5};
    };
    const Attended own = attended(), shared = attended();
    shared.log_sum_exp.narrow(1, 0, 20).fill_(std::numeric_limits<float>::infinity());
    const at::Tensor has_none = shared.log_sum_exp[0].isinf();
    const at::Tensor found = at::empty({77, num_heads * head_dim}, bfloats), expected = at::empty_like(found);
    fused.merge_attention_states(own, shared, has_none, found);
    plain.merge_attention_states(own, shared, has_none, expected);
    EXPECT_TRUE(near(found, expected)) << num_heads << " x " << head_dim;
  }
}

TEST(GpuTest, TheEngineHoldsAgainstEachPromptOnItsOwn) {
  SKIP_WITHOUT_GPU();
  for (const char* folder : {"tiny-judge", "golden/checkpoints/qwen2-odd-sizes", "golden/checkpoints/qwen3"}) {
    for (const Precision& precision : precisions()) {
      const bool is_odd = std::string_view(folder).ends_with("odd-sizes");  // refused in fp8
      if (precision.quantization == Quantization::kFp8 && is_odd) continue;
      const auto model = judge_on_gpu(folder, precision);
      SharedPrefixEngine engine(std::make_unique<DeviceStepModel>(model), 5000);
      EXPECT_NO_THROW(self_check(engine, model)) << folder << " " << precision_name(precision);
    }
  }
}

// Runs out of memory each time that a step is larger than some size.
class ForgetfulModel final : public StepModel {
 public:
  ForgetfulModel(const std::shared_ptr<const LoadedModel>& model, int64_t max_rows) : model_(model), rows_(max_rows) {}

  std::vector<float> run(const Step& step) override {
    if (std::ssize(step.input_ids) > rows_) throw OutOfMemory("forward pass: no memory");
    return model_.run(step);
  }
  std::shared_ptr<TrunkCache> make_trunk(int64_t num_rows) const override { return model_.make_trunk(num_rows); }
  int64_t block_rows() const override { return 1; }

 private:
  DeviceStepModel model_;
  int64_t rows_;
};

// Of the plans, given to the engine in `order`; parts of steps if `max_rows` is smaller.
LogOdds judge(const std::shared_ptr<const LoadedModel>& model, const std::vector<ScorePlan>& plans,
              const std::vector<size_t>& order, int64_t max_batch_tokens, int64_t max_rows) {
  SharedPrefixEngine engine(std::make_unique<SplittingStepModel>(std::make_unique<ForgetfulModel>(model, max_rows)),
                            max_batch_tokens);
  return judge_plans(engine, plans, order);
}

// Two layers of the width of real models.
std::shared_ptr<const LoadedModel> wide_model(int64_t hidden, int64_t intermediate, int64_t heads, int64_t key_heads,
                                              Quantization quantization = Quantization::kNone) {
  const nlohmann::json config = {{"model_type", "qwen2"},
                                 {"vocab_size", 512},
                                 {"hidden_size", hidden},
                                 {"intermediate_size", intermediate},
                                 {"num_hidden_layers", quantization == Quantization::kNone ? 2 : 3},
                                 {"num_attention_heads", heads},
                                 {"num_key_value_heads", key_heads},
                                 {"max_position_embeddings", 4096},
                                 {"hidden_act", "silu"},
                                 {"rms_norm_eps", 1e-6}};
  const TempFolder folder;
  folder.write("config.json", config.dump());
  return random_model(folder.path() / "config.json",
                      {.device = at::kCUDA,
                       .precision = {.dtype = at::kBFloat16, .quantization = quantization},
                       .label_a_id = 32,
                       .label_b_id = 33});
}

// All plans `num_copies` times, in orders and steps of chance.
void expect_same_bits(const std::shared_ptr<const LoadedModel>& model, int num_copies, int num_rounds) {
  std::mt19937 random(12);
  std::vector<ScorePlan> plans;
  for (int copy = 0; copy < num_copies; ++copy) {
    for (ScorePlan& plan : self_check_plans(model->config.vocab_size, model->config.max_positions())) {
      plans.push_back(std::move(plan));
    }
  }
  std::vector<size_t> order(plans.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const LogOdds expected = judge(model, plans, order, 100'000, 100'000);
  for (int round = 0; round < num_rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    const int64_t max_batch_tokens = 500 + static_cast<int64_t>(random() % 9000);
    const LogOdds found = judge(model, plans, order, max_batch_tokens, 400 + static_cast<int64_t>(random() % 9000));
    for (size_t i = 0; i < plans.size(); ++i) {
      for (size_t chunk = 0; chunk < found[i].size(); ++chunk) {
        ASSERT_EQ(std::bit_cast<uint32_t>(*found[i][chunk]), std::bit_cast<uint32_t>(*expected[i][chunk]))
            << "round " << round << ", plan " << i << ", chunk " << chunk;
      }
    }
  }
}

// Twelve copies: more answers than a block has.
TEST(GpuTest, SameBitsInAnyOrderAndStepOfTheShippedJudge) {
  SKIP_WITHOUT_GPU();
  expect_same_bits(judge_on_gpu("tiny-judge", {.dtype = at::kBFloat16}), 12, 8);
}

TEST(GpuTest, SameBitsInAnyOrderAndStepInFp8) {
  SKIP_WITHOUT_GPU();
  if (precisions().back().quantization != Quantization::kFp8) GTEST_SKIP() << "no fp8";
  expect_same_bits(judge_on_gpu("tiny-judge", precisions().back()), 12, 8);
  expect_same_bits(wide_model(3584, 18944, 28, 4, Quantization::kFp8), 12, 8);
}

// At the sizes of real models: the kernel takes scales, bias and layout as the operators do.
TEST(GpuTest, Fp8ProductsAreThoseOfTheOperators) {
  SKIP_WITHOUT_GPU();
  if (precisions().back().quantization != Quantization::kFp8) GTEST_SKIP() << "no fp8";
  at::manual_seed(8);
  const at::TensorOptions options = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  for (const auto& [num_inputs, num_outputs] :
       {std::pair<int64_t, int64_t>{256, 512}, {896, 1152}, {4864, 896}, {3584, 4608}, {18944, 3584}}) {
    for (const bool has_bias : {false, true}) {
      const Linear linear = to_fp8({.weight = at::randn({num_outputs, num_inputs}, options),
                                    .bias = has_bias ? at::randn({num_outputs}, options) : at::Tensor(),
                                    .quantization = Quantization::kFp8});
      const at::Tensor rows = at::randn({DeviceStepModel::kBlockRows, num_inputs}, options) *
                              at::randn({DeviceStepModel::kBlockRows, 1}, options).exp();
      const at::Tensor found = fp8_linear(rows, linear).to(at::kFloat);
      const at::Tensor expected = fp8_linear_by_operators(rows, linear).to(at::kFloat);
      EXPECT_LT(((found - expected).norm() / expected.norm()).item<double>(), 1e-2) << num_inputs << ' ' << num_outputs;
    }
  }
}

TEST(GpuTest, SameBitsInAnyOrderAndStepAtTheWidthOf500MillionParameters) {
  SKIP_WITHOUT_GPU();
  expect_same_bits(wide_model(896, 4864, 14, 2), 12, 8);
}

TEST(GpuTest, SameBitsInAnyOrderAndStepAtTheWidthOf7BillionParameters) {
  SKIP_WITHOUT_GPU();
  expect_same_bits(wide_model(3584, 18944, 28, 4), 12, 8);
}

// What the row kernels and flash attention are not for, and heads that are normalised.
TEST(GpuTest, SameBitsInAnyOrderAndStepOfOtherKinds) {
  SKIP_WITHOUT_GPU();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    expect_same_bits(judge_on_gpu("golden/checkpoints/qwen2-odd-sizes", {.dtype = dtype}), 1, 3);
    expect_same_bits(judge_on_gpu("golden/checkpoints/qwen3", {.dtype = dtype}), 1, 3);
  }
  expect_same_bits(judge_on_gpu("tiny-judge", {.dtype = at::kFloat}), 1, 3);
}

// Of two GPUs in one process each does its own work.
TEST(GpuTest, TheSecondGpuGivesWhatTheFirstDoes) {
  SKIP_WITHOUT_GPU();
  if (at::detail::getCUDAHooks().getNumGPUs() < 2) GTEST_SKIP() << "one GPU";
  const auto path = std::filesystem::path(PRM_SCORE_DATA_DIR) / "tiny-judge";
  const auto on = [&](int index) {
    return load_model(path, {.device = at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index)),
                             .precision = {.dtype = at::kBFloat16},
                             .label_a_id = 32,
                             .label_b_id = 33});
  };
  const auto first = on(0), second = on(1);
  const auto plans = self_check_plans(first->config.vocab_size, first->config.max_positions());
  SharedPrefixEngine first_engine(std::make_unique<DeviceStepModel>(first), 5000);
  SharedPrefixEngine second_engine(std::make_unique<DeviceStepModel>(second), 5000);
  EXPECT_EQ(judge_plans(first_engine, plans), judge_plans(second_engine, plans));
}

}  // namespace
}  // namespace prm_score
