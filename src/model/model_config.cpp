#include "prm_score/model/model_config.h"

#include <algorithm>
#include <array>

#include "json_fields.h"

#include "prm_score/error.h"
#include "prm_score/model/mapped_file.h"

namespace prm_score {
namespace {

constexpr const char* kConfigFile = "config.json";

// Far above any known model, and small enough that no product of sizes below overflows.
constexpr IntegerRange kVocabSizes = {.min = 1, .max = 1 << 24};
constexpr IntegerRange kHiddenSizes = {.min = 1, .max = 1 << 17};
constexpr IntegerRange kIntermediateSizes = {.min = 1, .max = 1 << 20};
constexpr IntegerRange kCounts = {.min = 1, .max = 4096};  // layers, heads, head_dim
constexpr IntegerRange kPositions = {.min = 1, .max = 1 << 30};

// What a family fixes, and what it reads from config.json.
struct Family {
  const char* model_type;
  bool qkv_bias;              // always there, attention_bias is not read
  bool reads_attention_bias;  // attention_bias: on q, k, v and o
  bool reads_mlp_bias;
  bool qk_norm;
  bool needs_head_dim;             // the reference's own default is a constant, so a missing field is no choice
  bool needs_num_key_value_heads;  // likewise
  bool has_layer_types;            // sliding window by layer, behind use_sliding_window
  bool slides_everywhere;          // sliding_window, if not null, is of every layer
};

constexpr std::array<Family, 4> kFamilies = {{{.model_type = "qwen2",
                                               .qkv_bias = true,
                                               .reads_attention_bias = false,
                                               .reads_mlp_bias = false,
                                               .qk_norm = false,
                                               .needs_head_dim = false,
                                               .needs_num_key_value_heads = true,
                                               .has_layer_types = true,
                                               .slides_everywhere = false},
                                              {.model_type = "qwen3",
                                               .qkv_bias = false,
                                               .reads_attention_bias = true,
                                               .reads_mlp_bias = false,
                                               .qk_norm = true,
                                               .needs_head_dim = true,
                                               .needs_num_key_value_heads = true,
                                               .has_layer_types = true,
                                               .slides_everywhere = false},
                                              {.model_type = "llama",
                                               .qkv_bias = false,
                                               .reads_attention_bias = true,
                                               .reads_mlp_bias = true,
                                               .qk_norm = false,
                                               .needs_head_dim = false,
                                               .needs_num_key_value_heads = false,
                                               .has_layer_types = false,
                                               .slides_everywhere = false},
                                              {.model_type = "mistral",
                                               .qkv_bias = false,
                                               .reads_attention_bias = false,
                                               .reads_mlp_bias = false,
                                               .qk_norm = false,
                                               .needs_head_dim = false,
                                               .needs_num_key_value_heads = true,
                                               .has_layer_types = false,
                                               .slides_everywhere = true}}};

const Family& find_family(const JsonObject& config) {
  const std::string model_type = config.string("model_type");
  const auto family = std::find_if(kFamilies.begin(), kFamilies.end(),
                                   [&](const Family& candidate) { return candidate.model_type == model_type; });
  if (family == kFamilies.end()) throw config.unexpected("model_type", "qwen2, qwen3, llama or mistral");
  return *family;
}

void expect_full_rotary(const JsonObject& object) {
  if (object.has("partial_rotary_factor") && object.positive_number("partial_rotary_factor") != 1.0) {
    throw object.unexpected("partial_rotary_factor", "1");
  }
}

void expect_nothing_unsupported(const JsonObject& config) {
  if (config.string("hidden_act") != "silu") throw config.unexpected("hidden_act", "\"silu\"");
  if (!config.boolean_or("is_causal", true)) throw config.unexpected("is_causal", "true");
  expect_full_rotary(config);
}

Quantization read_quantization(const JsonObject& config) {
  if (!config.has("quantization_config")) return Quantization::kNone;
  const JsonObject quantization(config.at("quantization_config"), config.place_of("quantization_config"));
  const std::string method = quantization.string("quant_method");
  if (method != kInt8QuantMethod) {
    throw quantization.unexpected("quant_method",
                                  std::string(kInt8QuantMethod) + " (prm-score quantize) or weights as trained");
  }
  const int64_t layout = quantization.integer("layout", kCounts);
  if (layout != kInt8Layout) {
    throw quantization.unexpected("layout", std::to_string(kInt8Layout) + " (quantise the checkpoint again)");
  }
  return Quantization::kInt8;
}

int64_t read_head_dim(const JsonObject& config, const Family& family, const ModelConfig& sizes) {
  if (family.needs_head_dim || config.has("head_dim")) {
    const int64_t head_dim = config.integer("head_dim", kCounts);
    if (head_dim % 2 != 0) throw config.unexpected("head_dim", "an even number");
    return head_dim;
  }
  const int64_t head_dim = sizes.hidden_size / sizes.num_attention_heads;
  if (sizes.hidden_size % sizes.num_attention_heads != 0 || head_dim % 2 != 0) {
    throw config.unexpected("hidden_size", "an even multiple of num_attention_heads " +
                                               std::to_string(sizes.num_attention_heads) + " as there is no head_dim");
  }
  return head_dim;
}

int64_t read_num_key_value_heads(const JsonObject& config, const Family& family, int64_t num_attention_heads) {
  // null is what the reference reads as "as many as there are heads"; for most families an absent field is not.
  if (family.needs_num_key_value_heads) (void)config.at("num_key_value_heads");
  const int64_t num_key_value_heads = config.integer_or("num_key_value_heads", kCounts, num_attention_heads);
  if (num_attention_heads % num_key_value_heads != 0) {
    throw config.unexpected("num_key_value_heads",
                            "a divisor of num_attention_heads " + std::to_string(num_attention_heads));
  }
  return num_key_value_heads;
}

ModelConfig read_sizes(const JsonObject& config, const Family& family) {
  ModelConfig sizes;
  sizes.model_type = family.model_type;
  sizes.vocab_size = config.integer("vocab_size", kVocabSizes);
  sizes.hidden_size = config.integer("hidden_size", kHiddenSizes);
  sizes.intermediate_size = config.integer("intermediate_size", kIntermediateSizes);
  sizes.num_hidden_layers = config.integer("num_hidden_layers", kCounts);
  sizes.num_attention_heads = config.integer("num_attention_heads", kCounts);
  sizes.num_key_value_heads = read_num_key_value_heads(config, family, sizes.num_attention_heads);
  sizes.head_dim = read_head_dim(config, family, sizes);
  sizes.max_position_embeddings = config.integer("max_position_embeddings", kPositions);
  sizes.rms_norm_eps = config.positive_number("rms_norm_eps");
  return sizes;
}

void read_flags(const JsonObject& config, const Family& family, ModelConfig& result) {
  const bool attention_bias = family.reads_attention_bias && config.boolean_or("attention_bias", false);
  result.qkv_bias = family.qkv_bias || attention_bias;
  result.o_proj_bias = attention_bias;
  result.mlp_bias = family.reads_mlp_bias && config.boolean_or("mlp_bias", false);
  result.qk_norm = family.qk_norm;
  result.tie_word_embeddings = config.boolean_or("tie_word_embeddings", false);
}

RopeParameters read_llama3_rope(const JsonObject& config, const JsonObject& rope, const ModelConfig& sizes) {
  // A field of the same name beside the rope parameters wins, as in the reference.
  const JsonObject& original = config.has("original_max_position_embeddings") ? config : rope;
  RopeParameters parameters = {.rope_type = RopeType::kLlama3,
                               .factor = rope.positive_number("factor"),
                               .low_freq_factor = rope.positive_number("low_freq_factor"),
                               .high_freq_factor = rope.positive_number("high_freq_factor"),
                               .original_max_position_embeddings = original.integer_or(
                                   "original_max_position_embeddings", kPositions, sizes.max_position_embeddings)};
  if (parameters.high_freq_factor <= parameters.low_freq_factor) {
    throw rope.unexpected("high_freq_factor", "more than low_freq_factor");
  }
  return parameters;
}

RopeParameters read_scaled_rope(const JsonObject& config, const JsonObject& rope, const ModelConfig& sizes) {
  expect_full_rotary(rope);
  const char* type_key = rope.has("rope_type") ? "rope_type" : "type";
  const std::string rope_type = rope.has(type_key) ? rope.string(type_key) : "default";
  if (rope_type == "llama3") return read_llama3_rope(config, rope, sizes);
  if (rope_type == "linear" && rope.positive_number("factor") != 1.0) throw rope.unexpected("factor", "1 for linear");
  if (rope_type != "default" && rope_type != "linear" && rope_type != "dynamic") {
    throw rope.unexpected(type_key, "default or llama3");
  }
  return {};
}

RopeParameters read_rope(const JsonObject& config, const ModelConfig& sizes) {
  const bool has_scaling = config.has("rope_scaling") && !config.at("rope_scaling").empty();
  const char* key = has_scaling ? "rope_scaling" : "rope_parameters";
  const nlohmann::json none = nlohmann::json::object();
  const JsonObject rope(config.has(key) ? config.at(key) : none, config.place_of(key));
  for (const char* layer_type : {"full_attention", "sliding_attention"}) {
    if (rope.has(layer_type)) throw rope.unexpected(layer_type, "one set of parameters for all layers");
  }
  RopeParameters parameters = read_scaled_rope(config, rope, sizes);
  const JsonObject& theta = rope.has("rope_theta") ? rope : config;
  if (theta.has("rope_theta")) parameters.rope_theta = theta.positive_number("rope_theta");
  return parameters;
}

// Whether any layer has the window: by `layer_types` if there, else every layer from `max_window_layers` on.
bool some_layer_slides(const JsonObject& config, const ModelConfig& sizes) {
  if (!config.has("layer_types")) {
    return config.integer_or("max_window_layers", {.min = 0, .max = kPositions.max}, 28) < sizes.num_hidden_layers;
  }
  const nlohmann::json& layer_types = config.at("layer_types");
  if (!layer_types.is_array() || static_cast<int64_t>(layer_types.size()) != sizes.num_hidden_layers) {
    throw config.unexpected("layer_types", "a list of num_hidden_layers " + std::to_string(sizes.num_hidden_layers));
  }
  for (const auto& type : layer_types) {
    if (type != "full_attention" && type != "sliding_attention") {
      throw Error(config.place_of("layer_types") + ": expected full_attention or sliding_attention, got " +
                  describe(type));
    }
  }
  return std::count(layer_types.begin(), layer_types.end(), "sliding_attention") > 0;
}

std::optional<int64_t> read_sliding_window(const JsonObject& config, const Family& family, const ModelConfig& sizes) {
  constexpr int64_t kDefaultWindow = 4096;  // of an absent field, in all three families that have a window
  std::optional<int64_t> window;
  if (!config.is_null("sliding_window")) window = config.integer_or("sliding_window", kPositions, kDefaultWindow);
  if (family.slides_everywhere) return window;
  if (!family.has_layer_types) return std::nullopt;

  const bool slides = some_layer_slides(config, sizes);
  if (config.boolean_or("use_sliding_window", false)) return slides ? window : std::nullopt;
  if (slides && config.has("layer_types")) {
    throw config.unexpected("layer_types", "full_attention only, as use_sliding_window is not true");
  }
  return std::nullopt;
}

// Of all linear layers that are rounded in a quantised model.
int64_t rounded_parameters(const ModelConfig& c) {
  const int64_t qkv_proj = (c.query_size() + 2 * c.key_value_size()) * c.hidden_size;
  const int64_t others = c.query_size() * c.hidden_size + 3 * c.hidden_size * c.intermediate_size;
  int64_t count = 0;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    const RoundedLayers rounded = rounded_layers(i, c.num_hidden_layers);
    count += (rounded.qkv_proj ? qkv_proj : 0) + (rounded.others ? others : 0);
  }
  return count;
}

int64_t parameters_per_layer(const ModelConfig& c) {
  const int64_t qkv_size = c.query_size() + 2 * c.key_value_size();
  const int64_t attention = qkv_size * c.hidden_size + c.query_size() * c.hidden_size;
  const int64_t mlp = 3 * c.hidden_size * c.intermediate_size;
  const int64_t norms = 2 * c.hidden_size + (c.qk_norm ? 2 * c.head_dim : 0);
  const int64_t biases = (c.qkv_bias ? qkv_size : 0) + (c.o_proj_bias ? c.hidden_size : 0) +
                         (c.mlp_bias ? 2 * c.intermediate_size + c.hidden_size : 0);
  return attention + mlp + norms + biases;
}

}  // namespace

int64_t ModelConfig::max_positions() const {
  return std::min(max_position_embeddings, sliding_window.value_or(max_position_embeddings));
}

int64_t ModelConfig::num_parameters() const {
  const int64_t num_tables = tie_word_embeddings ? 1 : 2;
  return num_tables * vocab_size * hidden_size + num_hidden_layers * parameters_per_layer(*this) + hidden_size;
}

int64_t weight_bytes(const ModelConfig& config, ElementBytes element_bytes) {
  constexpr int64_t kFloat32Bytes = 4;
  const int64_t num_rounded = element_bytes.rounded == 0 ? 0 : rounded_parameters(config);
  const int64_t num_others = config.num_hidden_layers * parameters_per_layer(config) - num_rounded;
  const int64_t layers = num_others * element_bytes.compute + num_rounded * element_bytes.rounded;
  const int64_t embeddings = config.vocab_size * config.hidden_size * element_bytes.checkpoint;
  const int64_t final_norm_and_head = 2 * config.hidden_size * kFloat32Bytes;
  return layers + embeddings + final_norm_and_head;
}

ModelConfig parse_model_config(std::string_view json_text, const std::string& file_name) {
  const nlohmann::json json = parse_json(json_text, file_name);
  const JsonObject config(json, file_name);
  const Family& family = find_family(config);
  expect_nothing_unsupported(config);
  ModelConfig result = read_sizes(config, family);
  read_flags(config, family, result);
  result.rope_parameters = read_rope(config, result);
  result.sliding_window = read_sliding_window(config, family, result);
  result.quantization = read_quantization(config);
  return result;
}

ModelConfig load_model_config(const std::filesystem::path& folder) {
  return load_model_config_file(folder / kConfigFile);
}

ModelConfig load_model_config_file(const std::filesystem::path& file) {
  return parse_model_config(MappedFile(file).text(), file.string());
}

}  // namespace prm_score
