#include "prm_score/model/quantized_checkpoint.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "json_fields.h"
#include <c10/core/InferenceMode.h>
#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/model/device.h"
#include "prm_score/model/int8_linear.h"
#include "prm_score/model/mapped_file.h"
#include "prm_score/model/safetensors.h"
#include "prm_score/model/safetensors_writer.h"
#include "prm_score/model/torch_error.h"
#include "prm_score/model/torch_version.h"
#include "prm_score/model/weights.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.json";
constexpr const char* kWeightsFile = "model.safetensors";

// What goes along, where it is there.
constexpr std::array kCopiedFiles = {
    "tokenizer.json",     "tokenizer.model",         "vocab.json", "merges.txt",
    "added_tokens.json",  "tokenizer_config.json",   "LICENSE",    "LICENSE.md",
    "LICENSE.txt",        "special_tokens_map.json", "NOTICE",     "generation_config.json",
    "chat_template.jinja"};

// A linear layer, and those it is made of.
struct FusedLayer {
  std::string name;  // within the decoder layer
  bool RoundedLayers::*is_rounded;
  Linear LayerWeights::*linear;
  int64_t num_outputs, num_inputs;
  std::vector<std::string> parts;
};

std::vector<FusedLayer> fused_layers(const ModelConfig& c) {
  return {{"self_attn.qkv_proj",
           &RoundedLayers::qkv_proj,
           &LayerWeights::qkv_proj,
           c.query_size() + 2 * c.key_value_size(),
           c.hidden_size,
           {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}},
          {"self_attn.o_proj",
           &RoundedLayers::others,
           &LayerWeights::o_proj,
           c.hidden_size,
           c.query_size(),
           {"self_attn.o_proj"}},
          {"mlp.gate_up_proj",
           &RoundedLayers::others,
           &LayerWeights::gate_up_proj,
           2 * c.intermediate_size,
           c.hidden_size,
           {"mlp.gate_proj", "mlp.up_proj"}},
          {"mlp.down_proj",
           &RoundedLayers::others,
           &LayerWeights::down_proj,
           c.hidden_size,
           c.intermediate_size,
           {"mlp.down_proj"}}};
}

std::string layer_prefix(int64_t index) { return "model.layers." + std::to_string(index) + "."; }

// The order of the tensors in the file: integers, scales, then what is kept, so that all lie at multiples of the size
// of their elements.
class Contents {
 public:
  Contents(const ModelConfig& config, const SafetensorsReader& checkpoint) : fused_(fused_layers(config)) {
    std::vector<TensorEntry> scales;
    std::set<std::string> replaced;
    for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
      for (const FusedLayer& layer : fused_) {
        if (!(rounded_layers(i, config.num_hidden_layers).*layer.is_rounded)) continue;
        const std::string name = layer_prefix(i) + layer.name;
        const int64_t num_bytes = int8_packed_bytes(layer.num_outputs, layer.num_inputs);
        entries_.push_back({name + kInt8Suffix, "U8", {num_bytes}, num_bytes});
        scales.push_back({name + kInt8ScalesSuffix,
                          "F32",
                          {layer.num_outputs},
                          layer.num_outputs * static_cast<int64_t>(sizeof(float))});
        for (const std::string& part : layer.parts) replaced.insert(layer_prefix(i) + part + ".weight");
      }
    }
    entries_.insert(entries_.end(), scales.begin(), scales.end());
    for (const auto& [name, tensor] : checkpoint.tensors()) {
      if (!replaced.contains(name)) kept_.emplace_back(name, &tensor);
    }
    std::ranges::stable_sort(kept_, std::greater(), [](const auto& kept) { return element_size(*kept.second); });
    for (const auto& [name, tensor] : kept_) {
      entries_.push_back({name, tensor->dtype, tensor->shape, std::ssize(tensor->bytes)});
    }
  }

  [[nodiscard]] const std::vector<FusedLayer>& fused() const { return fused_; }
  [[nodiscard]] const std::vector<TensorEntry>& entries() const { return entries_; }
  [[nodiscard]] const std::vector<std::pair<std::string, const StoredTensor*>>& kept() const { return kept_; }

 private:
  // About; 0 for types of less than a byte.
  static int64_t element_size(const StoredTensor& tensor) {
    int64_t num_elements = 1;
    for (const int64_t size : tensor.shape) num_elements *= size;
    return num_elements == 0 ? 0 : std::ssize(tensor.bytes) / num_elements;
  }

  std::vector<FusedLayer> fused_;
  std::vector<TensorEntry> entries_;
  std::vector<std::pair<std::string, const StoredTensor*>> kept_;  // as they are
};

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

// False if `progress` gave up.
bool write_weights(const LoadedModel& model, const Contents& contents, const fs::path& path,
                   const LayerProgress& progress) {
  SafetensorsWriter writer(path, contents.entries());
  std::vector<at::Tensor> scales;
  const int64_t num_layers = model.config.num_hidden_layers;
  for (int64_t i = 0; i < num_layers; ++i) {
    const LayerWeights layer = model.weights.layer(i);
    for (const FusedLayer& fused : contents.fused()) {
      if (!(rounded_layers(i, num_layers).*fused.is_rounded)) continue;
      const Int8Tensors tensors = int8_tensors((layer.*fused.linear).weight.contiguous());
      writer.write(bytes_of(tensors.packed));
      scales.push_back(tensors.scales);
    }
    if (!progress(i + 1, num_layers)) return false;
  }
  for (const at::Tensor& tensor : scales) writer.write(bytes_of(tensor));
  for (const auto& [name, tensor] : contents.kept()) writer.write(tensor->bytes);
  writer.finish();
  return true;
}

void write_config(const fs::path& from, const fs::path& to) {
  const MappedFile file(from);
  auto json = nlohmann::ordered_json::parse(file.text());  // load_model has read it already
  json["quantization_config"] = {{"quant_method", kInt8QuantMethod}, {"layout", kInt8Layout}};
  std::ofstream out(to, std::ios::binary | std::ios::trunc);
  out << json.dump(2) << '\n';
  out.close();
  if (!out) throw Error(to.string() + ": cannot be written");
}

void copy_small_files(const fs::path& from, const fs::path& to) {
  for (const char* name : kCopiedFiles) {
    if (!fs::is_regular_file(from / name)) continue;
    fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing);
  }
}

int64_t num_bytes_of(const SafetensorsReader& files) {
  int64_t num_bytes = 0;
  for (const auto& [name, tensor] : files.tensors()) num_bytes += std::ssize(tensor.bytes);
  return num_bytes;
}

std::optional<QuantizedSize> write_folder(const fs::path& from, const fs::path& to, const LayerProgress& progress) {
  const c10::InferenceMode no_autograd;
  // Labels matter to no weight that is written.
  const auto model = load_model(from, {.label_a_id = 0, .label_b_id = 1, .keep_layers = false});
  if (model->config.quantization != Quantization::kNone) {
    throw Error((from / kConfigFile).string() +
                ": quantization_config: expected weights as trained, found a quantised "
                "checkpoint");
  }
  const SafetensorsReader checkpoint(from);
  const Contents contents(model->config, checkpoint);
  fs::create_directory(to);
  if (!write_weights(*model, contents, to / kWeightsFile, progress)) return std::nullopt;
  write_config(from / kConfigFile, to / kConfigFile);
  copy_small_files(from, to);
  model->weights.expect_unchanged();
  QuantizedSize size = {.num_bytes_before = num_bytes_of(checkpoint)};
  for (const TensorEntry& entry : contents.entries()) size.num_bytes += entry.num_bytes;
  return size;
}

}  // namespace

std::optional<QuantizedSize> write_quantized(const fs::path& from, const fs::path& to, int num_threads,
                                             const LayerProgress& progress) {
  expect_torch_of_build();
  set_num_threads(split_threads(num_threads, 1).per_replica);
  return with_torch_errors(from.string(), [&] {
    fs::path partial = to.has_filename() ? to : to.parent_path();  // "folder/" is "folder"
    const fs::path whole = partial;
    partial += ".partial";
    if (fs::exists(fs::symlink_status(whole))) throw Error(whole.string() + ": already there");
    try {
      const auto size = write_folder(from, partial, progress);
      if (size) {
        fs::rename(partial, whole);
      } else {
        fs::remove_all(partial);
      }
      return size;
    } catch (const fs::filesystem_error& error) {
      throw Error(error.path1().string() + ": cannot be written: " + error.code().message());
    }
  });
}

}  // namespace prm_score
