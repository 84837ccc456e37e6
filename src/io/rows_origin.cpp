#include "prm_score/io/rows_origin.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "prm_score/error.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/io/run_state.h"

namespace prm_score {
namespace {

std::optional<RunState> state_beside(const std::string& file) {
  const std::string name = file + ".state";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(name, ignored)) return std::nullopt;
  try {
    return parse_run_state(read_whole(name), name);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string without_quotes(std::string_view json) {
  if (json.starts_with('"')) json.remove_prefix(1);
  if (json.ends_with('"')) json.remove_suffix(1);
  return std::string(json);
}

std::string judge_of(const RunState& state) {
  constexpr std::string_view kSha256 = "SHA-256 of ";
  constexpr size_t kDigits = 12;
  std::string text;
  for (const auto& [name, value] : state.fingerprint) {
    const bool is_weights = name.ends_with(".safetensors") || name.ends_with("--random-weights");
    if (!name.starts_with(kSha256) || !is_weights) continue;
    text += name.substr(kSha256.size()) + " " + without_quotes(value).substr(0, kDigits) + ", ";
  }
  if (const auto dtype = state.fingerprint.find("dtype"); dtype != state.fingerprint.end()) {
    text += without_quotes(dtype->second) + ", ";
  }
  const auto version = state.recorded.find("prm_score");
  return text + "prm-score " + (version == state.recorded.end() ? "unknown" : version->second);
}

// What moves a reward; the names of the files and what rows carry along do not.
std::map<std::string, std::string> of_rewards(std::map<std::string, std::string> fingerprint) {
  for (const char* name : {"files", "--id-field", "--keep", "--keep-all", "--limit", "--max-line-bytes", "--spans",
                           "--text-field", "--context-field", "--num-shards"}) {
    fingerprint.erase(name);
  }
  return fingerprint;
}

}  // namespace

RowsOrigin origin_of_rows(const std::vector<std::string>& files) {
  RowsOrigin origin;
  std::optional<std::pair<std::string, std::map<std::string, std::string>>> first;
  for (const std::string& file : files) {
    const auto state = state_beside(file);
    if (!state) continue;
    const std::string judge = judge_of(*state);
    if (std::ranges::find(origin.judges, judge) == origin.judges.end()) origin.judges.push_back(judge);
    auto fingerprint = of_rewards(state->fingerprint);
    if (!first) {
      first.emplace(file, std::move(fingerprint));
    } else if (origin.difference.empty()) {
      const std::string found = differences(first->second, fingerprint);
      if (!found.empty()) origin.difference = first->first + ", " + file + ": " + found;
    }
  }
  return origin;
}

}  // namespace prm_score
