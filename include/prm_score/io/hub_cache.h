// hub_cache.h - finds a checkpoint folder by path, or by name in the local cache of the Hugging Face hub.
//
//   <cache>/models--ORG--NAME/refs/main            holds a commit hash        (a branch name may have `/`: refs/pr/1)
//   <cache>/models--ORG--NAME/snapshots/<hash>/    holds the checkpoint, as links
//
// <cache> = $HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub, as
// in the hub's own client. Nothing is ever downloaded.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace prm_score {

// A model in the hub: `ORG/NAME` or `ORG/NAME@REVISION`; the revision is a branch, a tag or a commit hash.
struct HubName {
  std::string organisation;
  std::string name;
  std::string revision = "main";
};

// nullopt if `text` does not have that form. Never names a place outside the cache: no empty part, no `..`.
[[nodiscard]] std::optional<HubName> parse_hub_name(std::string_view text);

// After the environment variables; an empty one counts as not set.
[[nodiscard]] std::filesystem::path hub_cache_folder();

// The snapshot's folder. Throws Error with the command that downloads it if it is not in the cache.
[[nodiscard]] std::filesystem::path find_in_hub_cache(const HubName& model, const std::filesystem::path& cache);

// `model` is a folder, or else a hub name; a folder wins. Throws Error if it is neither, or not in the cache.
[[nodiscard]] std::filesystem::path find_checkpoint(const std::string& model, const std::filesystem::path& cache);

}  // namespace prm_score
