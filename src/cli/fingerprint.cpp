#include "fingerprint.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <future>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "host.h"
#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/model/safetensors.h"
#include "prm_score/model/torch_version.h"
#include "prm_score/text/prompt.h"
#include "prm_score/text/sha256.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSmallFiles[] = {"config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"};

// What makes the libraries below take other kernels.
constexpr const char* kKernelVariables[] = {"MKL_CBWR",         "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA",
                                            "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY",     "NVIDIA_TF32_OVERRIDE"};

std::string json_text(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string sha256_of_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  Sha256 sha256;
  std::vector<char> block(1 << 20);
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    sha256.update({block.data(), static_cast<size_t>(in.gcount())});
  }
  if (!in.eof()) throw Error(path.string() + ": cannot be read: " + std::generic_category().message(errno));
  return sha256.hex();
}

std::vector<fs::path> weight_files(const ScorerOptions& options) {
  if (!options.random_weights.empty()) return {options.random_weights};
  const SafetensorsReader reader(options.model);
  std::set<std::string> names;
  for (const auto& [name, tensor] : reader.tensors()) names.insert(tensor.file);
  std::vector<fs::path> files;
  files.reserve(names.size());
  for (const std::string& name : names) files.push_back(options.model / name);
  return files;
}

// Each thread takes every `num_threads`-th file.
std::vector<std::string> sha256_of_files(const std::vector<fs::path>& files, int num_threads) {
  const size_t stride = std::clamp<size_t>(num_threads, 1, std::max<size_t>(1, files.size()));
  std::vector<std::string> digests(files.size());
  std::vector<std::future<void>> parts;
  for (size_t first = 0; first < stride; ++first) {
    parts.push_back(std::async(std::launch::async, [&, first] {
      for (size_t i = first; i < files.size(); i += stride) digests[i] = sha256_of_file(files[i]);
    }));
  }
  for (auto& part : parts) part.get();
  return digests;
}

std::map<std::string, std::string> hash_checkpoint(const ScorerOptions& options, int num_threads) {
  std::vector<fs::path> files = weight_files(options);
  for (const char* name : kSmallFiles) {
    std::error_code not_there;
    if (fs::exists(options.model / name, not_there)) files.push_back(options.model / name);
  }
  const std::vector<std::string> digests = sha256_of_files(files, num_threads);
  std::map<std::string, std::string> by_name;
  for (size_t i = 0; i < files.size(); ++i) {
    const bool is_random = files[i] == options.random_weights;
    by_name[is_random ? "--random-weights" : files[i].filename().string()] = digests[i];
  }
  return by_name;
}

}  // namespace

const std::map<std::string, std::string>& checkpoint_sha256(const ScorerOptions& options) {
  static std::map<std::pair<fs::path, fs::path>, std::map<std::string, std::string>> known;
  auto& found = known[{options.model, options.random_weights}];
  if (found.empty()) found = hash_checkpoint(options, resolve_device(options).threads);
  return found;
}

RunState state_of_run(const Options& options, const ScorerOptions& scorer) {
  RunState state;
  const ResolvedDevice resolved = resolve_device(scorer);
  for (const auto& [name, sha256] : checkpoint_sha256(scorer)) {
    state.fingerprint["SHA-256 of " + name] = json_text(sha256);
  }
  state.fingerprint["SHA-256 of the template"] = json_text(template_sha256());
  state.fingerprint["dtype"] = json_text(resolved.dtype);
  state.fingerprint["prm_score"] = json_text(PRM_SCORE_VERSION);
  state.fingerprint["unicode"] = json_text(unicode_version());
  for (auto& [name, value] : options_of_rows(options)) state.fingerprint["--" + name] = std::move(value);
  if (options.files.size() > 1) state.fingerprint["files"] = json_text(options.files);  // rows name them
  if (options.num_shards) state.fingerprint["--num-shards"] = std::to_string(*options.num_shards);
  state.shard = options.shard;
  state.recorded = {{"prm_score", PRM_SCORE_VERSION},
                    {"torch", torch_version()},
                    {"cpu", cpu_name()},
                    {"device", resolved.device.substr(0, resolved.device.find(','))},
                    {"threads_per_replica", std::to_string(resolved.threads_per_replica)}};  // it may move bits
  if (!resolved.gpu.model.empty()) {
    state.recorded["gpu"] = resolved.gpu.model;
    state.recorded["gpu driver"] = resolved.gpu.driver;
  }
  for (const char* variable : kKernelVariables) {
    if (const char* value = std::getenv(variable)) state.recorded[variable] = value;
  }
  return state;
}

}  // namespace prm_score
