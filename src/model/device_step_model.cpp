#include "prm_score/model/device_step_model.h"

#include <algorithm>
#include <utility>

#include "device_tensors.h"
#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_rms_norm.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "prm_score/model/cuda_row_operations.h"
#include "prm_score/model/fp8_linear.h"
#include "prm_score/model/torch_error.h"

namespace prm_score {
namespace {

// out = rows W^T + b
void apply(const Linear& linear, const at::Tensor& rows, at::Tensor out) {
  if (linear.quantization == Quantization::kFp8) {
    out.copy_(fp8_linear(rows, linear));
  } else if (linear.bias.defined()) {
    at::addmm_out(out, linear.bias, rows, linear.weight.t());
  } else {
    at::mm_out(out, rows, linear.weight.t());
  }
}

// float32 [.., size], weight float32 [size] -> float32
at::Tensor norm(const at::Tensor& rows, const at::Tensor& weight, double eps) {
  return std::get<0>(at::_fused_rms_norm(rows, {rows.size(-1)}, weight, eps));
}

// Where each query has no key: bool [num_queries].
at::Tensor queries_without_keys(const std::vector<KeySpan>& spans, at::Device device) {
  std::vector<uint8_t> has_none;
  for (const KeySpan& span : spans) has_none.insert(has_none.end(), span.end - span.begin, span.num_keys > 0 ? 0 : 1);
  return on_device(has_none, device).to(at::kBool);
}

// The last query of each span, and the keys that it sees.
std::vector<KeySpan> last_queries(std::vector<KeySpan> spans) {
  for (size_t i = 0; i < spans.size(); ++i) {
    spans[i].begin = static_cast<int64_t>(i);
    spans[i].end = spans[i].begin + 1;
  }
  return spans;
}

// How branches see their own rows and the trunks'.
struct BranchPlans {
  VarlenPlan own, shared;
  at::Tensor has_none_shared;  // bool [num_queries]

  BranchPlans(const std::vector<KeySpan>& own_spans, const std::vector<KeySpan>& shared_spans, bool is_causal,
              at::Device device)
      : own(make_varlen_plan(own_spans, is_causal, device)),
        shared(make_varlen_plan(shared_spans, /*is_causal=*/false, device)),
        has_none_shared(queries_without_keys(shared_spans, device)) {}
};

}  // namespace

// One step.
class DeviceStepModel::Pass {
 public:
  Pass(const DeviceStepModel& model, const Step& step)
      : m_(model),
        config_(model.model_->config),
        layout_(make_step_layout(step)),
        device_(model.model_->options.device),
        tiles_(make_varlen_plan(layout_.tiles, /*is_causal=*/true, device_)),
        branches_(layout_.branches, layout_.shared, /*is_causal=*/true, device_),
        answers_(last_queries(layout_.branches), last_queries(layout_.shared), /*is_causal=*/false, device_) {
    const at::TensorOptions options(device_);
    const at::TensorOptions compute = options.dtype(model.model_->options.precision.dtype);
    const int64_t num_padded = rounded_up(layout_.num_rows(), model.block_rows_);
    hidden_ = at::zeros({num_padded, config_.hidden_size}, options.dtype(at::kFloat));
    qkv_ = at::zeros({num_padded, config_.query_size() + 2 * config_.key_value_size()}, compute);
    attended_ = at::zeros({num_padded, config_.query_size()}, compute);
    addend_ = at::empty({num_padded, config_.hidden_size}, compute);
    std::vector<int64_t> positions = layout_.positions;
    positions.resize(num_padded);
    const at::Tensor rows = on_device(positions, device_);
    cos_ = model.cos_.index_select(0, rows).unsqueeze(1);
    sin_ = model.sin_.index_select(0, rows).unsqueeze(1);
  }

  std::vector<float> run() {
    const at::Tensor ids = on_device(layout_.input_ids, device_);
    hidden_.narrow(0, 0, layout_.num_rows()).copy_(m_.model_->weights.embed_tokens.index_select(0, ids));
    addend_is_due_ = false;
    for (int64_t layer = 0; layer + 1 < config_.num_hidden_layers; ++layer) run_layer(layer);
    return run_last_layer();
  }

 private:
  // [num_rows, num_key_value_heads, head_dim]
  struct KeysAndValues {
    at::Tensor keys, values;
  };

  void run_layer(int64_t layer) {
    load_layer(layer);
    for (int64_t block = 0; block < num_blocks(); ++block) project(block, 0);
    extend_trunks(layer);
    attend(layer);
    for (int64_t block = 0; block < num_blocks(); ++block) {
      finish(of_block(attended_, block), of_block(hidden_, block), of_block(addend_, block));
    }
    addend_is_due_ = true;
  }

  // Only the rows that answer need queries, attention and feed-forward; the others' keys and values are all.
  std::vector<float> run_last_layer() {
    const int64_t layer = config_.num_hidden_layers - 1;
    load_layer(layer);
    for (int64_t block = 0; block < num_blocks(); ++block) project(block, config_.query_size());
    extend_trunks(layer);
    const auto num_answers = std::ssize(layout_.answer_rows);
    if (num_answers == 0) return {};

    const int64_t num_padded = rounded_up(num_answers, kAnswerBlockRows);
    std::vector<int64_t> padded_rows = layout_.answer_rows;
    padded_rows.resize(num_padded);  // row 0 is as good as any
    const at::Tensor rows = on_device(padded_rows, device_);
    const at::Tensor hidden = hidden_.index_select(0, rows), addend = at::empty_like(hidden, qkv_.options());
    const at::Tensor cos = cos_.index_select(0, rows), sin = sin_.index_select(0, rows);
    const at::Tensor queries = at::empty({num_padded, config_.query_size()}, qkv_.options());
    const Linear query = weights_.qkv_proj.outputs(0, config_.query_size());
    for (int64_t begin = 0; begin < num_padded; begin += kAnswerBlockRows) {
      const at::Tensor out = queries.narrow(0, begin, kAnswerBlockRows);
      apply(query, normalised(hidden.narrow(0, begin, kAnswerBlockRows), {}, weights_.input_layernorm), out);
      turn_heads(out, weights_.q_norm, cos.narrow(0, begin, kAnswerBlockRows), sin.narrow(0, begin, kAnswerBlockRows));
    }
    const at::Tensor attended = at::zeros_like(queries);
    attend_branches(trunk_rows(layer), queries.narrow(0, 0, num_answers), answers_, attended.narrow(0, 0, num_answers));
    const at::Tensor log_odds = at::empty({num_padded}, hidden.options());
    for (int64_t begin = 0; begin < num_padded; begin += kAnswerBlockRows) {
      const at::Tensor block = hidden.narrow(0, begin, kAnswerBlockRows);
      const at::Tensor output = addend.narrow(0, begin, kAnswerBlockRows);
      finish(attended.narrow(0, begin, kAnswerBlockRows), block, output);
      block.add_(output);
      const at::Tensor products = norm(block, m_.norm_, config_.rms_norm_eps) * m_.label_difference_;
      log_odds.narrow(0, begin, kAnswerBlockRows).copy_(products.sum(-1));
    }
    const at::Tensor answers = log_odds.narrow(0, 0, num_answers).to(at::kCPU);
    return {answers.const_data_ptr<float>(), answers.const_data_ptr<float>() + num_answers};
  }

  // --- Parts of a layer ---

  void load_layer(int64_t layer) {
    weights_ = {};  // give back first: a converted layer of a large model is large
    weights_ = m_.model_->weights.layer(layer);
    for (at::Tensor* vector :
         {&weights_.input_layernorm, &weights_.post_attention_layernorm, &weights_.q_norm, &weights_.k_norm}) {
      if (vector->defined()) *vector = vector->to(at::kFloat);
    }
  }

  at::Tensor normalised(const at::Tensor& hidden, const at::Tensor& addend, const at::Tensor& weight) const {
    return m_.rows_->add_rms_norm(hidden, addend, weight, config_.rms_norm_eps);
  }

  // Normalised, where the family does that, and turned. rows [num_rows, num_heads * head_dim], changed in place.
  void turn_heads(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& cos,
                  const at::Tensor& sin) const {
    const at::Tensor heads = rows.unflatten(-1, {-1, config_.head_dim});
    if (weight.defined()) heads.copy_(norm(heads.to(at::kFloat).contiguous(), weight, config_.rms_norm_eps));
    m_.rows_->apply_rotary(heads, cos, sin);
  }

  // Queries, keys and values of a block, from the output `first_output` on: 0, or query_size() for no queries.
  void project(int64_t block, int64_t first_output) const {
    const at::Tensor rows = of_block(qkv_, block);
    const int64_t query_size = config_.query_size(), key_value_size = config_.key_value_size();
    const int64_t num_outputs = query_size + 2 * key_value_size - first_output;
    const at::Tensor addend = addend_is_due_ ? of_block(addend_, block) : at::Tensor();
    apply(weights_.qkv_proj.outputs(first_output, num_outputs),
          normalised(of_block(hidden_, block), addend, weights_.input_layernorm),
          rows.narrow(1, first_output, num_outputs));
    const at::Tensor cos = of_block(cos_, block), sin = of_block(sin_, block);
    if (first_output == 0 && !config_.qk_norm) {  // queries and keys lie side by side
      turn_heads(rows.narrow(1, 0, query_size + key_value_size), {}, cos, sin);
      return;
    }
    if (first_output == 0) turn_heads(rows.narrow(1, 0, query_size), weights_.q_norm, cos, sin);
    turn_heads(rows.narrow(1, query_size, key_value_size), weights_.k_norm, cos, sin);
  }

  void extend_trunks(int64_t layer) const {
    for (const auto& [trunk, row, trunk_row, num_rows] : layout_.extensions) {
      trunk->keys(layer).narrow(0, trunk_row, num_rows).copy_(keys().narrow(0, row, num_rows));
      trunk->values(layer).narrow(0, trunk_row, num_rows).copy_(values().narrow(0, row, num_rows));
    }
  }

  void attend(int64_t layer) const {
    const at::Tensor queries = qkv_.narrow(1, 0, config_.query_size());
    const int64_t num_trunk_rows = layout_.num_trunk_rows, num_branch_rows = layout_.num_rows() - num_trunk_rows;
    const KeysAndValues of_trunks = trunk_rows(layer);
    if (num_trunk_rows > 0) {
      const Attended tiles = m_.attention_->attend(by_heads(queries.narrow(0, 0, num_trunk_rows)), of_trunks.keys,
                                                   of_trunks.values, tiles_);
      attended_.narrow(0, 0, num_trunk_rows).copy_(tiles.rows.flatten(1));
    }
    if (num_branch_rows > 0) {
      attend_branches(of_trunks, queries.narrow(0, num_trunk_rows, num_branch_rows), branches_,
                      attended_.narrow(0, num_trunk_rows, num_branch_rows));
    }
  }

  // queries and out [num_queries, query_size]
  void attend_branches(const KeysAndValues& of_trunks, const at::Tensor& queries, const BranchPlans& plans,
                       at::Tensor out) const {
    const int64_t num_branch_rows = layout_.num_rows() - layout_.num_trunk_rows;
    const auto branch_rows = [&](const at::Tensor& rows) {
      return by_heads(rows.narrow(0, layout_.num_trunk_rows, num_branch_rows));
    };
    const Attended to_own =
        m_.attention_->attend(by_heads(queries), branch_rows(keys()), branch_rows(values()), plans.own);
    if (plans.shared.max_num_keys == 0) {
      out.copy_(to_own.rows.flatten(1));
      return;
    }
    const Attended to_shared = m_.attention_->attend(by_heads(queries), of_trunks.keys, of_trunks.values, plans.shared);
    m_.rows_->merge_attention_states(to_own, to_shared, plans.has_none_shared, out);
  }

  // From attention to the end of the layer: hidden += o_proj(attended); addend = mlp(norm(hidden)), which the next
  // layer adds to hidden.
  void finish(const at::Tensor& attended, const at::Tensor& hidden, const at::Tensor& addend) const {
    apply(weights_.o_proj, attended, addend);
    const at::Tensor gate_up = at::empty({hidden.size(0), 2 * config_.intermediate_size}, qkv_.options());
    apply(weights_.gate_up_proj, normalised(hidden, addend, weights_.post_attention_layernorm), gate_up);
    apply(weights_.down_proj, m_.rows_->silu_and_mul(gate_up), addend);
  }

  // --- Places ---

  [[nodiscard]] int64_t num_blocks() const { return hidden_.size(0) / m_.block_rows_; }
  [[nodiscard]] at::Tensor of_block(const at::Tensor& rows, int64_t block) const {
    return rows.narrow(0, block * m_.block_rows_, m_.block_rows_);
  }
  [[nodiscard]] at::Tensor keys() const { return qkv_.narrow(1, config_.query_size(), config_.key_value_size()); }
  [[nodiscard]] at::Tensor values() const {
    return qkv_.narrow(1, config_.query_size() + config_.key_value_size(), config_.key_value_size());
  }
  [[nodiscard]] at::Tensor by_heads(const at::Tensor& rows) const { return rows.unflatten(-1, {-1, config_.head_dim}); }

  // Of all trunks of the step, one behind another.
  KeysAndValues trunk_rows(int64_t layer) const {
    if (layout_.trunks.empty()) return {};
    std::vector<at::Tensor> keys, values;
    for (const auto& trunk : layout_.trunks) {
      keys.push_back(trunk->keys(layer));
      values.push_back(trunk->values(layer));
    }
    const auto joined = [](const std::vector<at::Tensor>& parts) {
      return parts.size() == 1 ? parts[0] : at::cat(parts);
    };
    return {.keys = by_heads(joined(keys)), .values = by_heads(joined(values))};
  }

  const DeviceStepModel& m_;
  const ModelConfig& config_;
  StepLayout layout_;
  at::Device device_;
  VarlenPlan tiles_;
  BranchPlans branches_, answers_;  // all rows of the branches; the last one of each
  // Of the step's rows as the layout orders them, padded to whole blocks:
  at::Tensor hidden_;     // float32 [.., hidden_size]
  at::Tensor qkv_;        // [.., query_size + 2 key_value_size]
  at::Tensor attended_;   // [.., query_size]
  at::Tensor addend_;     // [.., hidden_size]: what the layer before gave, to be added to hidden_
  at::Tensor cos_, sin_;  // float32 [.., 1, head_dim / 2]
  bool addend_is_due_ = false;
  LayerWeights weights_;  // of the layer at work
};

DeviceStepModel::DeviceStepModel(std::shared_ptr<const LoadedModel> model, int64_t block_rows)
    : model_(std::move(model)),
      block_rows_(block_rows),
      attention_(
          make_varlen_attention(model_->options.device, model_->options.precision.dtype, model_->config.head_dim)),
      rotary_(inverse_frequencies(model_->config.rope_parameters, model_->config.head_dim)) {
  with_torch_errors("engine", [&] {
    const c10::InferenceMode no_autograd;
    const at::Device device = model_->options.device;
    rows_ = make_row_operations(device, model_->options.precision.dtype, model_->config);
    norm_ = model_->weights.norm.to(device);
    label_difference_ = model_->weights.label_difference.to(device);
  });
}

DeviceStepModel::~DeviceStepModel() = default;

std::shared_ptr<TrunkCache> DeviceStepModel::make_trunk(int64_t num_rows) const {
  return with_torch_errors("keys and values of a document", [&] {
    const c10::InferenceMode no_autograd;
    return std::make_shared<TrunkCache>(
        model_->config, num_rows, model_->config.key_value_size(),
        at::TensorOptions(model_->options.device).dtype(model_->options.precision.dtype));
  });
}

void DeviceStepModel::reserve_positions(int64_t num_positions) {
  if (cos_.defined() && cos_.size(0) >= num_positions) return;
  constexpr int64_t kMoreAtATime = 4096;
  const int64_t half = model_->config.head_dim / 2;
  rotary_.reserve(rounded_up(num_positions, kMoreAtATime));
  at::Tensor cos = on_device(rotary_.cos(), model_->options.device).view({-1, half});
  at::Tensor sin = on_device(rotary_.sin(), model_->options.device).view({-1, half});
  cos_ = std::move(cos);  // both or none: memory may run out in between
  sin_ = std::move(sin);
}

std::vector<float> DeviceStepModel::run(const Step& step) {
  return with_torch_errors("forward pass", [&] {
    const c10::InferenceMode no_autograd;
    reserve_positions(std::max<int64_t>(1, step.num_positions()));
    return Pass(*this, step).run();
  });
}

int64_t bytes_per_row(const ModelConfig& config, at::ScalarType dtype) {
  const auto element = static_cast<int64_t>(c10::elementSize(dtype));
  constexpr int64_t kFloat = 4;
  const int64_t activations = kFloat * (config.hidden_size + config.head_dim) +
                              element * (config.hidden_size + 2 * config.query_size() + 2 * config.key_value_size());
  // What attention gives, its merging in float32; keys and values of one layer side by side.
  const int64_t attention = (2 * element + kFloat) * config.query_size() + element * 2 * config.key_value_size();
  const int64_t cache = element * 2 * config.key_value_size() * config.num_hidden_layers;
  return activations + attention + cache;
}

int64_t bytes_per_block(const ModelConfig& config, at::ScalarType dtype) {
  const auto element = static_cast<int64_t>(c10::elementSize(dtype));
  constexpr int64_t kFloat = 4;
  const int64_t feed_forward = element * 2 * config.intermediate_size;
  const int64_t norms = (2 * kFloat + 2 * element) * config.hidden_size;
  const int64_t turning = kFloat * 2 * (config.query_size() + config.key_value_size());
  return DeviceStepModel::kBlockRows * (std::max(feed_forward, turning) + norms);
}

}  // namespace prm_score
