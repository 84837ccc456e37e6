#include "fingerprint.h"

#include <cerrno>
#include <fstream>
#include <future>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/model/safetensors.h"
#include "prm_score/text/prompt.h"
#include "prm_score/text/sha256.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSmallFiles[] = {"config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"};

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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
  for (const std::string& name : names) files.push_back(options.model / name);
  return files;
}

void add_checkpoint(const ScorerOptions& options, std::map<std::string, std::string>& fingerprint) {
  std::vector<fs::path> files = weight_files(options);
  for (const char* name : kSmallFiles) {
    std::error_code not_there;
    if (fs::exists(options.model / name, not_there)) files.push_back(options.model / name);
  }
  std::vector<std::future<std::string>> digests;
  for (const fs::path& file : files) {
    digests.push_back(std::async(std::launch::async, [file] { return sha256_of_file(file); }));
  }
  for (size_t i = 0; i < files.size(); ++i) {
    fingerprint["SHA-256 of " + files[i].filename().string()] = quoted(digests[i].get());
  }
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

RunState state_of_run(const Options& options, const ScorerOptions& scorer) {
  RunState state;
  const ResolvedDevice resolved = resolve_device(scorer);
  add_checkpoint(scorer, state.fingerprint);
  state.fingerprint["SHA-256 of the template"] = quoted(template_sha256());
  state.fingerprint["dtype"] = quoted(resolved.dtype);
  for (auto& [name, value] : options_of_rows(options)) state.fingerprint["--" + name] = std::move(value);
  if (options.files.size() > 1) state.fingerprint["files"] = nlohmann::json(options.files).dump();  // rows name them
  state.recorded = {{"prm_score", PRM_SCORE_VERSION},
                    {"torch", torch_version()},
                    {"cpu", cpu_name()},
                    {"device", resolved.device},
                    {"threads", std::to_string(resolved.threads)}};
  return state;
}

}  // namespace prm_score
