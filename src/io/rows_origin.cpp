#include "prm_score/io/rows_origin.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "prm_score/error.h"
#include "prm_score/io/golden_file.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/io/run_state.h"

namespace prm_score {
namespace {

// Of a run with --output, or of check --update.
std::optional<RunState> read_state_beside(const std::string& file) {
  const std::string name = file + ".state";
  std::error_code ignored;
  try {
    if (std::filesystem::is_regular_file(name, ignored)) return parse_run_state(read_whole(name), name);
    return read_golden_state(file);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// A state that is not of these rows is passed over: they may have been written over since.
std::optional<RunState> state_of(const std::string& file) {
  auto state = read_state_beside(file);
  if (!state || !state->exit_code) return std::nullopt;
  std::error_code error;
  const auto num_bytes = std::filesystem::file_size(file, error);
  if (error || num_bytes != static_cast<uintmax_t>(state->progress.num_bytes)) return std::nullopt;
  return state;
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

// "a, b, c and 2 more"
std::string joined(const std::vector<std::string>& names) {
  constexpr size_t kMost = 3;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() <= kMost ? text : text + " and " + std::to_string(names.size() - kMost) + " more";
}

// One that gave all files needs no names of files.
std::vector<std::string> describe(const std::vector<std::pair<std::string, std::vector<std::string>>>& judges,
                                  size_t num_files) {
  std::vector<std::string> texts;
  for (const auto& [judge, files] : judges) {
    texts.push_back(files.size() == num_files ? judge : judge + " (" + joined(files) + ")");
  }
  return texts;
}

}  // namespace

RowsOrigin origin_of_rows(const std::vector<std::string>& files) {
  RowsOrigin origin;
  std::optional<std::pair<std::string, std::map<std::string, std::string>>> first;
  std::vector<std::pair<std::string, std::vector<std::string>>> judges;  // and their files
  for (const std::string& file : files) {
    const auto state = state_of(file);
    if (!state) continue;
    const std::string judge = judge_of(*state);
    auto found = std::ranges::find(judges, judge, [](const auto& entry) { return entry.first; });
    if (found == judges.end()) found = judges.insert(found, {judge, {}});
    found->second.push_back(file);
    auto fingerprint = of_rewards(state->fingerprint);
    if (!first) {
      first.emplace(file, std::move(fingerprint));
    } else if (origin.difference.empty()) {
      origin.difference = differences(first->second, fingerprint, {.there = "in " + first->first, .now = "in " + file});
    }
  }
  origin.judges = describe(judges, files.size());
  return origin;
}

}  // namespace prm_score
