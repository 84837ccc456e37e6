#include "prm_score/model/quantized_checkpoint.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <c10/core/InferenceMode.h>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "prm_score/error.h"
#include "prm_score/model/device.h"
#include "prm_score/model/fused_layers.h"
#include "prm_score/model/int8_linear.h"
#include "prm_score/model/mapped_file.h"
#include "prm_score/model/new_file.h"
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

// The order of the tensors in the file: integers, scales, then what is kept, the largest elements first, so that those
// of the usual types lie at multiples of their size.
class Contents {
 public:
  Contents(const ModelConfig& config, const SafetensorsReader& checkpoint) : fused_(fused_layers(config)) {
    std::vector<TensorEntry> scales;
    std::set<std::string> replaced;
    for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
      for (const FusedLayer& layer : fused_) {
        if (!(rounded_layers(i, config.num_hidden_layers).*layer.is_rounded)) continue;
        const std::string name = layer_prefix(i) + layer.name;
        const int64_t num_bytes = int8_packed_bytes(layer.num_outputs(), layer.num_inputs);
        entries_.push_back({name + kInt8Suffix, "U8", {num_bytes}, num_bytes});
        scales.push_back({name + kInt8ScalesSuffix,
                          "F32",
                          {layer.num_outputs()},
                          layer.num_outputs() * static_cast<int64_t>(sizeof(float))});
        for (const LinearPart& part : layer.parts) replaced.insert(layer_prefix(i) + part.name + ".weight");
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
      if (!tensors.scales.isfinite().all().item<bool>()) {
        throw Error(layer_prefix(i) + fused.name + ": expected finite weights, found others (prm-score info --verify " +
                    "says where)");
      }
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

// A folder of this process alone, beside `whole`, until it gets its name. What else it would leave goes with it.
class FolderInTheMaking {
 public:
  // Throws Error.
  explicit FolderInTheMaking(fs::path whole) : whole_(std::move(whole)) {
    if (fs::exists(fs::symlink_status(whole_))) throw Error(whole_.string() + ": already there");
    std::string name = whole_.string() + ".XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw write_error(whole_);
    path_ = name;
  }
  ~FolderInTheMaking() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  FolderInTheMaking(const FolderInTheMaking&) = delete;
  FolderInTheMaking& operator=(const FolderInTheMaking&) = delete;

  [[nodiscard]] const fs::path& path() const { return path_; }

  // On the disk. Throws Error.
  void finish() {
    std::error_code error;
    fs::permissions(path_,
                    fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec | fs::perms::others_read |
                        fs::perms::others_exec,
                    error);  // mkdtemp gives the owner's
    sync(path_);
    if (renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, whole_.c_str(), RENAME_NOREPLACE) != 0) {
      if (errno == EEXIST) throw Error(whole_.string() + ": already there");
      throw write_error(whole_);
    }
    path_.clear();
    sync(whole_.has_parent_path() ? whole_.parent_path() : fs::path("."));
  }

 private:
  static void sync(const fs::path& folder) {
    const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool is_done = fd >= 0 && fsync(fd) == 0;
    const Error error = write_error(folder);
    if (fd >= 0) close(fd);
    if (!is_done) throw error;
  }

  fs::path whole_, path_;
};

void write_config(const fs::path& from, const fs::path& to) {
  const MappedFile file(from);
  auto json = nlohmann::ordered_json::parse(file.text());  // load_model has read it already
  json["quantization_config"] = {{"quant_method", kInt8QuantMethod}, {"layout", kInt8Layout}};
  write_new_file(to, json.dump(2) + "\n");
}

void copy_small_files(const fs::path& from, const fs::path& to) {
  for (const char* name : kCopiedFiles) {
    std::error_code ignored;
    if (fs::is_regular_file(from / name, ignored)) write_new_file(to / name, MappedFile(from / name).text());
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
  const SafetensorsReader checkpoint(from);
  const Contents contents(model->config, checkpoint);
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
    if (load_model_config(from).quantization != Quantization::kNone) {
      throw Error((from / kConfigFile).string() +
                  ": quantization_config: expected weights as trained, found a quantised checkpoint");
    }
    FolderInTheMaking folder(to.has_filename() ? to : to.parent_path());  // "folder/" is "folder"
    const auto size = write_folder(from, folder.path(), progress);
    if (size) folder.finish();
    return size;
  });
}

}  // namespace prm_score
