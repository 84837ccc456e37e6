#include "prm_score/model/cpu_step_model.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>

#include "vectorised.h"
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "prm_score/model/int8_linear.h"
#include "prm_score/model/linear.h"
#include "prm_score/model/memory.h"
#include "prm_score/model/rotary.h"
#include "prm_score/model/row_kernels.h"
#include "prm_score/model/torch_error.h"

namespace prm_score {
namespace {

constexpr int64_t kBlockRows = CpuStepModel::kBlockRows;

std::vector<float> to_floats(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const at::Tensor floats = tensor.to(at::kFloat).contiguous();
  return {floats.const_data_ptr<float>(), floats.const_data_ptr<float>() + floats.numel()};
}

// task(index) for every index below `count`, each on one of libtorch's threads, in no order.
template <typename Task>
void run_tasks(int64_t count, const Task& task) {
  std::atomic<int64_t> next = 0;
  // One turn for every thread, also if there is less to do: a kernel may plan otherwise outside of a parallel region.
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    const c10::InferenceMode no_autograd;
    for (int64_t i = next++; i < count; i = next++) task(i);
  });
}

int64_t element_bytes(at::ScalarType dtype) { return static_cast<int64_t>(c10::elementSize(dtype)); }

int64_t num_blocks(int64_t num_rows) { return (num_rows + kBlockRows - 1) / kBlockRows; }

at::Tensor block_of(const at::Tensor& rows, int64_t block) { return rows.narrow(0, block * kBlockRows, kBlockRows); }

std::pair<int64_t, int64_t> rows_of(int64_t block, int64_t num_rows) {
  return {block * kBlockRows, std::min((block + 1) * kBlockRows, num_rows)};
}

// `rows` with space for at least `num_rows` rows. What is in it is lost.
void grow(at::Tensor& rows, int64_t num_rows, int64_t row_size, at::ScalarType dtype) {
  if (rows.defined() && rows.size(0) >= num_rows) return;
  rows = at::Tensor();  // first give back, then take
  rows = at::zeros({num_rows, row_size}, at::TensorOptions(dtype));
}

// The rows of a table of vectors, in its own dtype, as float32.
void copy_embeddings(const at::Tensor& table, const std::vector<int32_t>& ids, const at::Tensor& hidden) {
  const at::ScalarType dtype = table.scalar_type();
  const int64_t size = table.size(1);
  auto* out = hidden.mutable_data_ptr<float>();
  for (size_t row = 0; row < ids.size(); ++row, out += size) {
    if (dtype == at::kFloat) {
      std::memcpy(out, table.const_data_ptr<float>() + ids[row] * size, size * sizeof(float));
    } else if (dtype == at::kBFloat16) {
      scale_row(table.const_data_ptr<c10::BFloat16>() + ids[row] * size, 1.0F, size, out);
    } else {
      std::copy_n(table.const_data_ptr<c10::Half>() + ids[row] * size, size, out);
    }
  }
}

std::unique_ptr<const BlockLinear> packed_linear(const Linear& linear) {
  if (linear.quantization == Quantization::kInt8) return std::make_unique<Int8Linear>(linear);
  return std::make_unique<PackedLinear>(linear, kBlockRows);
}

}  // namespace

// A layer as the row kernels and the matrix kernels want it.
struct CpuStepModel::Layer {
  explicit Layer(const LayerWeights& weights)
      : input_layernorm(to_floats(weights.input_layernorm)),
        post_attention_layernorm(to_floats(weights.post_attention_layernorm)),
        q_norm(to_floats(weights.q_norm)),
        k_norm(to_floats(weights.k_norm)) {
    const std::array<const Linear*, 4> linears = {&weights.gate_up_proj, &weights.down_proj, &weights.qkv_proj,
                                                  &weights.o_proj};
    std::array<std::unique_ptr<const BlockLinear>, 4> packed;
    run_tasks(linears.size(), [&](int64_t i) { packed[i] = packed_linear(*linears[i]); });
    gate_up_proj = std::move(packed[0]);
    down_proj = std::move(packed[1]);
    qkv_proj = std::move(packed[2]);
    o_proj = std::move(packed[3]);
  }

  std::vector<float> input_layernorm, post_attention_layernorm, q_norm, k_norm;
  std::unique_ptr<const BlockLinear> qkv_proj, o_proj, gate_up_proj, down_proj;
};

// One step, in compute dtype T.
template <typename T>
class CpuStepModel::Pass {
 public:
  Pass(CpuStepModel& model, const Step& step)
      : m_(model),
        config_(model.model_->config),
        step_(step),
        num_rows_(static_cast<int64_t>(step.input_ids.size())),
        qkv_stride_(model.qkv_.stride(0)) {
    positions_.reserve(num_rows_);
    for (const Segment& segment : step.segments) {
      for (int64_t i = 0; i < segment.num_rows(); ++i) positions_.push_back(segment.num_shared + i);
      if (!segment.extends_trunk) branches_.push_back(&segment);
      for (int64_t begin = 0; begin < segment.num_rows(); begin += kTileRows) {
        const int64_t end = std::min(begin + kTileRows, segment.num_rows());
        tiles_.push_back({.segment = &segment, .begin = begin, .end = end});
      }
    }
  }

  std::vector<float> run() {
    copy_embeddings(m_.model_->weights.embed_tokens, step_.input_ids, m_.hidden_);
    for (int64_t layer = 0; layer + 1 < config_.num_hidden_layers; ++layer) {
      project(layer);
      attend_and_finish(layer);
    }
    project(config_.num_hidden_layers - 1);
    return answer(config_.num_hidden_layers - 1);
  }

 private:
  // Queries [begin, end) of a segment, counted from its first row.
  struct Tile {
    const Segment* segment;
    int64_t begin, end;
  };

  // Queries, keys and values of all rows, turned to their positions.
  void project(int64_t layer) {
    layer_ = nullptr;  // give back first: a layer of a large model is large
    layer_ = m_.layer(layer);
    run_tasks(num_blocks(num_rows_), [&](int64_t block) {
      at::Tensor& normed = my_scratch().normed;
      norm_block(m_.hidden_, block, layer_->input_layernorm, normed);
      const at::Tensor qkv = layer_->qkv_proj->apply(normed);
      const int64_t size = qkv.size(1);
      const auto [begin, end] = rows_of(block, num_rows_);
      for (int64_t row = begin; row < end; ++row) {
        T* heads = qkv_row(row);
        std::memcpy(heads, qkv.template const_data_ptr<T>() + (row - begin) * size, size * sizeof(T));
        turn_heads(heads, config_.num_attention_heads, layer_->q_norm, positions_[row]);
        turn_heads(heads + config_.query_size(), config_.num_key_value_heads, layer_->k_norm, positions_[row]);
      }
    });
    extend_trunks(layer);
  }

  void attend_and_finish(int64_t layer) {
    const int64_t num_heads = config_.num_key_value_heads;
    run_tasks(std::ssize(tiles_) * num_heads, [&](int64_t task) {
      // The last tiles of a document have the most keys: the longest tasks first.
      const Tile& tile = tiles_[std::ssize(tiles_) - 1 - task / num_heads];
      attend_tile(layer, tile, task % num_heads, attended_row(tile.segment->begin + tile.begin));
    });
    run_tasks(num_blocks(num_rows_), [&](int64_t block) { finish_block(m_.hidden_, block); });
  }

  // In the last layer only the rows that answer go on from here; the others' keys and values are all that it takes.
  std::vector<float> answer(int64_t layer) {
    const auto num_answers = std::ssize(branches_);
    std::vector<float> log_odds(num_answers);
    run_tasks(num_blocks(num_answers), [&](int64_t block) {
      const auto [begin, end] = rows_of(block, num_answers);
      for (int64_t i = begin; i < end; ++i) {
        const Segment& branch = *branches_[i];
        std::memcpy(answer_row(i), m_.hidden_.const_data_ptr<float>() + (branch.end - 1) * config_.hidden_size,
                    config_.hidden_size * sizeof(float));
        const Tile last_row = {.segment = &branch, .begin = branch.num_rows() - 1, .end = branch.num_rows()};
        for (int64_t head = 0; head < config_.num_key_value_heads; ++head) {
          attend_tile(layer, last_row, head, attended_row(i));
        }
      }
      finish_block(m_.answers_, block);
      std::vector<float> normed(config_.hidden_size);
      for (int64_t i = begin; i < end; ++i) {
        rms_norm_row(answer_row(i), m_.norm_.data(), config_.hidden_size, eps(), normed.data());
        log_odds[i] = dot(normed.data(), m_.label_difference_.data(), config_.hidden_size);
      }
    });
    return log_odds;
  }

  // --- Parts of a layer ---

  void norm_block(const at::Tensor& rows, int64_t block, const std::vector<float>& weight, at::Tensor& out) const {
    const float* row = rows.const_data_ptr<float>() + block * kBlockRows * config_.hidden_size;
    T* normed = out.template mutable_data_ptr<T>();
    for (int64_t i = 0; i < kBlockRows; ++i, row += config_.hidden_size, normed += config_.hidden_size) {
      rms_norm_row(row, weight.data(), config_.hidden_size, eps(), normed);
    }
  }

  // Normalised, where the family does that, and rotated to their position.
  void turn_heads(T* heads, int64_t num_heads, const std::vector<float>& norm, int64_t position) const {
    const int64_t half = config_.head_dim / 2;
    for (int64_t i = 0; i < num_heads; ++i, heads += config_.head_dim) {
      if (!norm.empty()) rms_norm_row(heads, norm.data(), config_.head_dim, eps(), heads);
      rotate_head(heads, m_.rotary_.cos().data() + position * half, m_.rotary_.sin().data() + position * half, half);
    }
  }

  // Keys and values of trunk rows move to their trunk.
  void extend_trunks(int64_t layer) const {
    const int64_t size = config_.key_value_size();
    run_tasks(std::ssize(step_.segments), [&](int64_t i) {
      const Segment& segment = step_.segments[i];
      if (!segment.extends_trunk) return;
      const int64_t stride = segment.trunk->row_stride();
      T* keys = segment.trunk->keys(layer).template mutable_data_ptr<T>() + segment.num_shared * stride;
      T* values = segment.trunk->values(layer).template mutable_data_ptr<T>() + segment.num_shared * stride;
      for (int64_t row = segment.begin; row < segment.end; ++row, keys += stride, values += stride) {
        std::memcpy(keys, qkv_row(row) + config_.query_size(), size * sizeof(T));
        std::memcpy(values, qkv_row(row) + config_.query_size() + size, size * sizeof(T));
      }
    });
  }

  KeyValueRows<T> shared_rows(int64_t layer, const Segment& segment, int64_t head) const {
    if (segment.num_shared == 0) return {};
    const int64_t offset = head * config_.head_dim;
    return {.keys = segment.trunk->keys(layer).template const_data_ptr<T>() + offset,
            .values = segment.trunk->values(layer).template const_data_ptr<T>() + offset,
            .row_stride = segment.trunk->row_stride(),
            .num_rows = segment.num_shared};
  }

  KeyValueRows<T> own_rows(const Segment& segment, int64_t head) const {
    const T* keys = qkv_row(segment.begin) + config_.query_size() + head * config_.head_dim;
    return {.keys = keys,
            .values = keys + config_.key_value_size(),
            .row_stride = qkv_stride_,
            .num_rows = segment.num_rows()};
  }

  [[nodiscard]] int64_t heads_per_key() const { return config_.num_attention_heads / config_.num_key_value_heads; }

  // `out`: of the tile's first row.
  void attend_tile(int64_t layer, const Tile& tile, int64_t head, T* out) const {
    const int64_t offset = head * heads_per_key() * config_.head_dim;
    attend<T>({.queries = qkv_row(tile.segment->begin + tile.begin) + offset,
               .query_stride = qkv_stride_,
               .out = out + offset,
               .out_stride = config_.query_size(),
               .num_rows = tile.end - tile.begin,
               .num_heads = heads_per_key()},
              shared_rows(layer, *tile.segment, head), own_rows(*tile.segment, head), tile.begin + 1, config_.head_dim,
              my_scratch().attention);
  }

  // From attention to the end of the layer: hidden += o_proj(attended); hidden += mlp(norm(hidden)).
  void finish_block(const at::Tensor& hidden, int64_t block) const {
    Scratch& scratch = my_scratch();
    add_block(layer_->o_proj->apply(block_of(m_.attended_, block)), hidden, block);
    norm_block(hidden, block, layer_->post_attention_layernorm, scratch.normed);
    const at::Tensor gate_ups = layer_->gate_up_proj->apply(scratch.normed);
    const int64_t size = config_.intermediate_size;
    const T* gate_up = gate_ups.template const_data_ptr<T>();
    T* gated = scratch.gated.template mutable_data_ptr<T>();
    for (int64_t i = 0; i < kBlockRows; ++i, gate_up += 2 * size, gated += size) {
      silu_multiply_row(gate_up, gate_up + size, size, gated);
    }
    add_block(layer_->down_proj->apply(scratch.gated), hidden, block);
  }

  void add_block(const at::Tensor& block_rows, const at::Tensor& hidden, int64_t block) const {
    add_row(block_rows.const_data_ptr<T>(), kBlockRows * config_.hidden_size,
            hidden.mutable_data_ptr<float>() + block * kBlockRows * config_.hidden_size);
  }

  // --- Places ---

  [[nodiscard]] T* qkv_row(int64_t row) const { return m_.qkv_.template mutable_data_ptr<T>() + row * qkv_stride_; }
  [[nodiscard]] T* attended_row(int64_t row) const {
    return m_.attended_.template mutable_data_ptr<T>() + row * config_.query_size();
  }
  [[nodiscard]] float* answer_row(int64_t i) const {
    return m_.answers_.mutable_data_ptr<float>() + i * config_.hidden_size;
  }
  [[nodiscard]] float eps() const { return static_cast<float>(config_.rms_norm_eps); }
  [[nodiscard]] Scratch& my_scratch() const { return m_.scratch_[at::get_thread_num()]; }

  CpuStepModel& m_;
  const ModelConfig& config_;
  const Step& step_;
  int64_t num_rows_;
  int64_t qkv_stride_;
  std::vector<int64_t> positions_;  // [num_rows]
  std::vector<const Segment*> branches_;
  std::vector<Tile> tiles_;
  std::shared_ptr<const Layer> layer_;  // the one at work
};

CpuStepModel::CpuStepModel(std::shared_ptr<const LoadedModel> model)
    : model_(std::move(model)), rotary_(inverse_frequencies(model_->config.rope_parameters, model_->config.head_dim)) {
  with_torch_errors("weights", [&] {
    const c10::InferenceMode no_autograd;
    const bool fit = packed_layers_fit(*model_, packed_dtype(model_->options.precision.dtype));
    norm_ = to_floats(model_->weights.norm);
    label_difference_ = to_floats(model_->weights.label_difference);
    for (int64_t i = 0; fit && i < model_->config.num_hidden_layers; ++i) {
      layers_.push_back(std::make_shared<const Layer>(model_->weights.layer(i)));
    }
  });
}

CpuStepModel::CpuStepModel(const CpuStepModel& other, Shared /*tag*/)
    : model_(other.model_),
      layers_(other.layers_),
      norm_(other.norm_),
      label_difference_(other.label_difference_),
      rotary_(other.rotary_) {}

CpuStepModel::~CpuStepModel() = default;

std::unique_ptr<CpuStepModel> CpuStepModel::replica() const {
  return std::unique_ptr<CpuStepModel>(new CpuStepModel(*this, Shared{}));
}

std::shared_ptr<const CpuStepModel::Layer> CpuStepModel::layer(int64_t index) const {
  return layers_.empty() ? std::make_shared<const Layer>(model_->weights.layer(index)) : layers_[index];
}

std::shared_ptr<TrunkCache> CpuStepModel::make_trunk(int64_t num_rows) const {
  return with_torch_errors("keys and values of a document", [&] {
    const c10::InferenceMode no_autograd;
    const at::ScalarType dtype = model_->options.precision.dtype;
    return std::make_shared<TrunkCache>(model_->config, num_rows,
                                        spread_stride(model_->config.key_value_size(), element_bytes(dtype)),
                                        at::TensorOptions(dtype));
  });
}

void CpuStepModel::reserve(const Step& step) {
  const ModelConfig& config = model_->config;
  const at::TensorOptions options(model_->options.precision.dtype);
  at::internal::lazy_init_num_threads();  // or the first parallel loop of a thread may change their number
  while (std::ssize(scratch_) < at::get_num_threads()) {
    scratch_.push_back({.normed = at::zeros({kBlockRows, config.hidden_size}, options),
                        .gated = at::zeros({kBlockRows, config.intermediate_size}, options),
                        .attention = {}});
  }
  const int64_t num_rows = num_blocks(std::ssize(step.input_ids)) * kBlockRows;
  const int64_t num_answers = num_blocks(std::ssize(step.segments)) * kBlockRows;
  grow(hidden_, num_rows, config.hidden_size, at::kFloat);
  const at::ScalarType dtype = model_->options.precision.dtype;
  grow(qkv_, num_rows, spread_stride(config.query_size() + 2 * config.key_value_size(), element_bytes(dtype)), dtype);
  grow(attended_, std::max(num_rows, num_answers), config.query_size(), dtype);
  grow(answers_, num_answers, config.hidden_size, at::kFloat);

  rotary_.reserve(step.num_positions());
}

std::vector<float> CpuStepModel::run(const Step& step) {
  return with_torch_errors("forward pass", [&] {
    const c10::InferenceMode no_autograd;
    reserve(step);
    expect_memory_for_libraries(at::get_num_threads());
    return model_->options.precision.dtype == at::kBFloat16 ? Pass<c10::BFloat16>(*this, step).run()
                                                            : Pass<float>(*this, step).run();
  });
}

}  // namespace prm_score
