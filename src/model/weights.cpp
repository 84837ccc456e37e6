#include "prm_score/model/weights.h"

#include <optional>
#include <string>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <c10/core/InferenceMode.h>

#include "prm_score/error.h"
#include "prm_score/model/fp8_linear.h"
#include "prm_score/model/fused_layers.h"
#include "prm_score/model/int8_linear.h"
#include "prm_score/model/memory.h"
#include "prm_score/model/torch_error.h"

namespace prm_score {
namespace {

constexpr const char* kEmbedTokens = "model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

}  // namespace

class WeightLoader {
 public:
  WeightLoader(std::shared_ptr<const TensorSource> source, const ModelConfig& config, const WeightOptions& options)
      : source_(std::move(source)), config_(config), options_(options) {}

  [[nodiscard]] const std::shared_ptr<const TensorSource>& source() const { return source_; }

  at::Tensor embed_tokens() const {
    // The reference ties both ways: a table that is missing may be there under the head's name.
    const bool use_head = config_.tie_word_embeddings && !source_->contains(kEmbedTokens) && source_->contains(kHead);
    return table(use_head ? kHead : kEmbedTokens).to(options_.device);
  }

  at::Tensor label_difference() const {
    const bool use_embeddings = config_.tie_word_embeddings && !source_->contains(kHead);
    const at::Tensor head = table(use_embeddings ? kEmbedTokens : kHead);
    const auto row = [&](int64_t label_id) { return head.select(0, label_id).to(at::kFloat); };
    return (row(options_.label_a_id) - row(options_.label_b_id)).to(options_.device);
  }

  at::Tensor norm() const { return vector("model.norm.weight", config_.hidden_size).to(at::kFloat); }

  LayerWeights layer(int64_t index) const {
    const std::string prefix = layer_prefix(index);
    const RoundedLayers rounded = rounded_layers(index, config_.num_hidden_layers);
    LayerWeights layer;
    layer.input_layernorm = vector(prefix + "input_layernorm.weight", config_.hidden_size);
    layer.post_attention_layernorm = vector(prefix + "post_attention_layernorm.weight", config_.hidden_size);
    if (config_.qk_norm) {
      layer.q_norm = vector(prefix + "self_attn.q_norm.weight", config_.head_dim);
      layer.k_norm = vector(prefix + "self_attn.k_norm.weight", config_.head_dim);
    }
    for (const FusedLayer& fused : fused_layers(config_)) {
      layer.*fused.linear = linear(prefix, fused, rounded.*fused.is_rounded);
    }
    return layer;
  }

  // Throws Error as layer() does, without converting anything.
  void expect_layer(int64_t index) const {
    WeightOptions without_numbers = options_;
    without_numbers.device = at::kMeta;
    static_cast<void>(WeightLoader(source_, config_, without_numbers).layer(index));
  }

 private:
  at::Tensor stored(const std::string& name, const std::vector<int64_t>& shape) const {
    return source_->tensor(name, shape);
  }

  at::Tensor table(const std::string& name) const { return stored(name, {config_.vocab_size, config_.hidden_size}); }

  at::Tensor vector(const std::string& name, int64_t size) const {
    return stored(name, {size}).to(options_.device).to(options_.precision.dtype);
  }

  // One below the other, converted on the way. A single tensor that needs no conversion is not copied.
  at::Tensor concatenated(const std::vector<at::Tensor>& parts) const {
    if (parts.size() == 1) return parts[0].to(options_.device).to(options_.precision.dtype);
    std::vector<int64_t> shape = parts[0].sizes().vec();
    shape[0] = 0;
    for (const auto& part : parts) shape[0] += part.size(0);
    at::Tensor whole = at::empty(shape, at::TensorOptions(options_.device).dtype(options_.precision.dtype));
    int64_t begin = 0;
    for (const auto& part : parts) {
      whole.narrow(0, begin, part.size(0)).copy_(part.to(options_.device));  // converted there, not before
      begin += part.size(0);
    }
    return whole;
  }

  Linear linear(const std::string& prefix, const FusedLayer& layer, bool is_rounded) const {
    const bool is_stored_rounded = is_rounded && config_.quantization == Quantization::kInt8;
    std::vector<at::Tensor> weights;
    std::vector<at::Tensor> biases;
    for (const auto& [name, num_outputs] : layer.parts) {
      if (!is_stored_rounded) weights.push_back(stored(prefix + name + ".weight", {num_outputs, layer.num_inputs}));
      if (layer.has_bias) biases.push_back(stored(prefix + name + ".bias", {num_outputs}));
    }
    Linear linear;
    if (is_rounded) linear.quantization = options_.precision.quantization;
    if (layer.has_bias) linear.bias = concatenated(biases);
    if (!is_stored_rounded) {
      linear.weight = concatenated(weights);
      if (linear.quantization == Quantization::kFp8) linear = to_fp8(std::move(linear));
    } else if (Int8Tensors tensors = int8(prefix + layer.name, layer.num_outputs(), layer.num_inputs);
               options_.precision.quantization == Quantization::kInt8) {
      linear.int8 = std::move(tensors);
    } else {
      linear.weight = int8_numbers(tensors).to(options_.device).to(options_.precision.dtype);
    }
    return linear;
  }

  Int8Tensors int8(const std::string& name, int64_t num_outputs, int64_t num_inputs) const {
    expect_int8_inputs(num_inputs);
    const at::Tensor scales = stored(name + kInt8ScalesSuffix, {num_outputs});
    return {.packed = source_->packed(name + kInt8Suffix, int8_packed_bytes(num_outputs, num_inputs)),
            .scales = scales.to(at::kFloat),
            .num_inputs = num_inputs};
  }

  std::shared_ptr<const TensorSource> source_;
  ModelConfig config_;
  WeightOptions options_;
};

namespace {

// Of the checkpoint, beside the layers as they are computed with. Its pages want their share, but those of quantised
// layers are read once only: what stays in use is the table of embeddings.
int64_t checkpoint_bytes(const TensorSource& source, const ModelConfig& config, const WeightOptions& options) {
  if (options.precision.quantization == Quantization::kNone) return source.num_bytes();
  return source.num_held_bytes() + config.vocab_size * config.hidden_size * int64_t{sizeof(float)};
}

// Whether all layers may lie in memory. The activations want their share, too.
bool layers_fit(const TensorSource& source, const ModelConfig& config, const WeightOptions& options,
                const ElementBytes& element_bytes) {
  const int64_t num_bytes = weight_bytes(config, element_bytes);
  if (options.layer_memory) return num_bytes <= *options.layer_memory;
  if (!options.device.is_cpu()) return true;
  return num_bytes + checkpoint_bytes(source, config, options) <= available_memory_bytes() / 4 * 3;
}

std::shared_ptr<const LoadedModel> load(const ModelConfig& config, std::shared_ptr<const TensorSource> source,
                                        const WeightOptions& options) {
  expect_memory_for_libraries(at::get_num_threads());
  auto model = std::make_shared<LoadedModel>();
  model->config = config;
  model->options = options;
  model->weights = load_weights(std::move(source), config, options);
  return model;
}

void expect_labels(const ModelConfig& config, const WeightOptions& options) {
  for (const int64_t id : {options.label_a_id, options.label_b_id}) {
    if (id < 0 || id >= config.vocab_size) {
      throw Error("label id: expected 0 to " + std::to_string(config.vocab_size - 1) + " (vocab_size), got " +
                  std::to_string(id));
    }
  }
  if (options.label_a_id == options.label_b_id) {
    throw Error("label ids: expected two different ones, got " + std::to_string(options.label_a_id) + " twice");
  }
}

}  // namespace

at::Tensor Linear::apply(const at::Tensor& rows) const {
  if (quantization == Quantization::kInt8) return int8_linear_by_operators(rows, *this);
  if (quantization == Quantization::kFp8) return fp8_linear_by_operators(rows, *this);
  return at::linear(rows, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

Linear Linear::outputs(int64_t begin, int64_t length) const {
  const auto part = [&](const at::Tensor& whole) { return whole.defined() ? whole.narrow(0, begin, length) : whole; };
  return {.weight = part(int8 ? int8_values(*int8) : weight),
          .bias = part(bias),
          .quantization = quantization,
          .scales = part(int8 ? int8->scales : scales)};
}

bool packed_layers_fit(const LoadedModel& model, at::ScalarType dtype) {
  ElementBytes bytes = {.compute = static_cast<int64_t>(c10::elementSize(dtype)), .checkpoint = 0};
  // Those of a quantised checkpoint stay in its mapped files, but a byte is a byte: the kernels read all of them.
  if (model.options.precision.quantization == Quantization::kInt8) bytes.rounded = 1;
  return layers_fit(*model.weights.loader->source(), model.config, model.options, bytes);
}

LayerWeights ModelWeights::layer(int64_t index) const {
  return resident_layers.empty() ? loader->layer(index) : resident_layers[index];
}

void ModelWeights::expect_unchanged() const { loader->source()->expect_unchanged(); }

ModelWeights load_weights(std::shared_ptr<const TensorSource> source, const ModelConfig& config,
                          const WeightOptions& options) {
  expect_labels(config, options);
  const ElementBytes bytes = {.compute = static_cast<int64_t>(c10::elementSize(options.precision.dtype)),
                              .checkpoint = 0};
  const bool keep = options.keep_layers && layers_fit(*source, config, options, bytes);
  const auto loader = std::make_shared<const WeightLoader>(std::move(source), config, options);
  ModelWeights weights;
  weights.embed_tokens = loader->embed_tokens();
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    if (keep) {
      weights.resident_layers.push_back(loader->layer(i));
    } else {
      loader->expect_layer(i);  // what is wrong with it is to be known now
    }
  }
  weights.norm = loader->norm();
  weights.label_difference = loader->label_difference();
  weights.loader = loader;
  return weights;
}

std::shared_ptr<const LoadedModel> load_model(const std::filesystem::path& folder, const WeightOptions& options) {
  return with_torch_errors(folder.string(), [&] {
    const c10::InferenceMode no_autograd;
    const ModelConfig config = load_model_config(folder);
    return load(config, std::make_shared<SafetensorsSource>(folder), options);
  });
}

std::shared_ptr<const LoadedModel> in_float32(const LoadedModel& model) {
  return with_torch_errors("float32", [&] {
    const c10::InferenceMode no_autograd;
    auto exact = std::make_shared<LoadedModel>(model);  // the tables are in the checkpoint's dtype, the rest in float32
    exact->options.precision = {};
    exact->weights.resident_layers.clear();
    exact->weights.loader =
        std::make_shared<const WeightLoader>(model.weights.loader->source(), model.config, exact->options);
    exact->weights.norm = exact->weights.loader->norm();
    return exact;
  });
}

std::shared_ptr<const LoadedModel> random_model(const std::filesystem::path& config_file,
                                                const WeightOptions& options) {
  constexpr uint64_t kSeed = 20260101;
  return with_torch_errors(config_file.string(), [&] {
    const c10::InferenceMode no_autograd;
    const ModelConfig config = load_model_config_file(config_file);
    const int64_t num_bytes = config.num_parameters() * static_cast<int64_t>(c10::elementSize(at::kBFloat16));
    return load(config, std::make_shared<RandomSource>(kSeed, !config.tie_word_embeddings, num_bytes), options);
  });
}

}  // namespace prm_score
