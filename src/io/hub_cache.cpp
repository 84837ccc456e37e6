#include "prm_score/io/hub_cache.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <system_error>

#include "prm_score/error.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

// One component of a path below the cache: no separator, and neither `.`, `..` nor hidden.
bool is_plain_name(std::string_view text) {
  return !text.empty() && text.front() != '.' && text.find_first_not_of(kNameCharacters) == std::string_view::npos;
}

// As git allows: components as above and with a few more characters, joined by `/`.
bool is_revision(std::string_view text) {
  while (true) {
    const size_t slash = text.find('/');
    const auto part = text.substr(0, slash);
    const bool has_bad_character = std::any_of(part.begin(), part.end(), [](unsigned char c) {
      return c <= ' ' || c == 0x7F || std::string_view("~^:?*[\\").find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (part.empty() || part.front() == '.' || has_bad_character) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// The hash that refs/<revision> holds; empty if there is no such file.
std::string read_reference(const fs::path& file) {
  std::ifstream in(file);
  std::string hash;
  in >> hash;
  if (!hash.empty() && !is_plain_name(hash)) {
    throw Error(file.string() + ": expected a commit hash, got something else");
  }
  return hash;
}

std::string download_command(const HubName& model) {
  std::string command = "hf download " + model.organisation + "/" + model.name;
  if (model.revision != "main") command += " --revision " + model.revision;
  return command;
}

// An environment variable; empty if it is not set.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path expand_home(const std::string& path) {
  if (path == "~" || path.starts_with("~/")) return environment("HOME") + path.substr(1);
  return path;
}

}  // namespace

std::optional<HubName> parse_hub_name(std::string_view text) {
  HubName result;
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    result.revision = text.substr(at + 1);
    text = text.substr(0, at);
  }
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  result.organisation = text.substr(0, slash);
  result.name = text.substr(slash + 1);
  const bool is_valid =
      is_plain_name(result.organisation) && is_plain_name(result.name) && is_revision(result.revision);
  return is_valid ? std::optional(result) : std::nullopt;
}

fs::path hub_cache_folder() {
  if (const auto cache = environment("HF_HUB_CACHE"); !cache.empty()) return expand_home(cache);
  if (const auto home = environment("HF_HOME"); !home.empty()) return expand_home(home) / "hub";
  const auto xdg_cache = environment("XDG_CACHE_HOME");
  const fs::path cache = xdg_cache.empty() ? expand_home("~/.cache") : expand_home(xdg_cache);
  return cache / "huggingface" / "hub";
}

fs::path find_in_hub_cache(const HubName& model, const fs::path& cache) {
  const fs::path folder = cache / ("models--" + model.organisation + "--" + model.name);
  const std::string hash = read_reference(folder / "refs" / model.revision);
  fs::path snapshot = folder / "snapshots" / (hash.empty() ? model.revision : hash);
  if (is_folder(snapshot)) return snapshot;
  const std::string expected = hash.empty() ? "refs/" + model.revision : "snapshots/" + hash;
  throw Error(model.organisation + "/" + model.name + ": not in the hub cache: expected " +
              (folder / expected).string() + ", found nothing; to download it: " + download_command(model));
}

fs::path find_checkpoint(const std::string& model, const fs::path& cache) {
  if (is_folder(model)) return model;
  std::error_code ignored;
  if (fs::exists(model, ignored)) throw Error(model + ": expected a checkpoint folder, got a file");
  const auto hub_name = parse_hub_name(model);
  if (!hub_name) throw Error(model + ": no such folder, and no hub name (ORG/NAME or ORG/NAME@REVISION) either");
  try {
    return find_in_hub_cache(*hub_name, cache);
  } catch (const Error& error) {
    throw Error(model + ": no such folder; " + error.what());
  }
}

}  // namespace prm_score
