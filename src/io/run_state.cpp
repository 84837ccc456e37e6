#include "prm_score/io/run_state.h"

#include <algorithm>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"

namespace prm_score {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr size_t kMaxShownBytes = 100;

std::string shown(const std::map<std::string, std::string>& values, const std::string& name) {
  const auto found = values.find(name);
  if (found == values.end()) return "nothing";
  const std::string& value = found->second;
  return value.size() <= kMaxShownBytes ? value : value.substr(0, kMaxShownBytes) + "..";
}

Json input_json(const InputSummary& input) {
  Json files = Json::array();
  for (const auto& file : input.files) files.push_back({{"lines", file.num_lines}, {"rows", file.num_rows}});
  return {{"sha256", input.sha256}, {"files", std::move(files)}};
}

InputSummary parse_input(const Json& json) {
  InputSummary input = {.sha256 = json.at("sha256").get<std::string>(), .files = {}};
  for (const Json& file : json.at("files")) {
    input.files.push_back({.num_lines = file.at("lines").get<int64_t>(), .num_rows = file.at("rows").get<int64_t>()});
  }
  return input;
}

// What a run that reached its end can end with.
int parse_exit_code(int exit_code, const std::string& name) {
  if (exit_code == 0 || exit_code == 3) return exit_code;
  throw Error(name + ": exit_code: expected null, 0 or 3, got " + std::to_string(exit_code));
}

// Fingerprint and records.
void add_identity(Json& json, const RunState& state) {
  json["fingerprint"] = Json::object();
  for (const auto& [name, value] : state.fingerprint) json["fingerprint"][name] = Json::parse(value);
  json["recorded"] = Json(state.recorded);
}

}  // namespace

std::string format_fingerprint(const RunState& state) {
  Json json;
  add_identity(json, state);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string format_run_state(const RunState& state) {
  Json json;
  json["format"] = kFormat;
  add_identity(json, state);
  json["progress"] = {{"bytes", state.progress.num_bytes},
                      {"counts", Json::parse(format_counts(state.progress.counts))},
                      {"input_sha256", state.progress.input_sha256}};
  json["exit_code"] = state.exit_code ? Json(*state.exit_code) : Json(nullptr);
  if (state.shard) json["shard"] = *state.shard;
  if (!state.rows_sha256.empty()) json["rows_sha256"] = state.rows_sha256;
  if (!state.input.files.empty()) json["input"] = input_json(state.input);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

RunState parse_run_state(const std::string& text, const std::string& name) {
  try {
    const Json json = Json::parse(text);
    if (json.at("format") != kFormat) {
      throw Error(name + ": format: expected " + std::to_string(kFormat) + ", got " + json["format"].dump());
    }
    RunState state;
    for (const auto& [key, value] : json.at("fingerprint").items()) state.fingerprint[key] = value.dump();
    state.recorded = json.at("recorded").get<std::map<std::string, std::string>>();
    if (auto threads = state.recorded.extract("threads")) {  // the name that it had at first
      threads.key() = "threads_per_replica";
      state.recorded.insert(std::move(threads));
    }
    const Json& progress = json.at("progress");
    state.progress.num_bytes = progress.at("bytes").get<int64_t>();
    if (state.progress.num_bytes < 0) {
      throw Error(name + ": progress.bytes: expected at least 0, got " + std::to_string(state.progress.num_bytes));
    }
    state.progress.counts = parse_counts(progress.at("counts").dump());
    state.progress.input_sha256 = progress.at("input_sha256").get<std::string>();
    if (!json.at("exit_code").is_null()) state.exit_code = parse_exit_code(json["exit_code"].get<int>(), name);
    if (json.contains("shard")) state.shard = json["shard"].get<int64_t>();
    if (json.contains("rows_sha256")) state.rows_sha256 = json["rows_sha256"].get<std::string>();
    if (json.contains("input")) state.input = parse_input(json["input"]);
    return state;
  } catch (const Json::exception& error) {
    throw Error(name + ": expected the state of a run, got something else (" + error.what() + ")");
  }
}

std::string differences(const std::map<std::string, std::string>& there, const std::map<std::string, std::string>& now,
                        const ComparedPlaces& places) {
  std::set<std::string> names;
  for (const auto* values : {&there, &now}) {
    for (const auto& [name, value] : *values) names.insert(name);
  }
  std::string text;
  for (const std::string& name : names) {
    const auto here = there.find(name), other = now.find(name);
    if (here != there.end() && other != now.end() && here->second == other->second) continue;
    text += (text.empty() ? "" : "; ") + name + ": " + shown(there, name) + " " + places.there + ", " +
            shown(now, name) + " " + places.now;
  }
  return text;
}

RecordedDifferences recorded_differences(const RunState& there, const RunState& now, const ComparedPlaces& places) {
  const auto without_threads = [](std::map<std::string, std::string> recorded) {
    recorded.erase("threads_per_replica");
    return recorded;
  };
  const auto oracle = now.fingerprint.find("--no-prefix-sharing");
  const bool is_oracle = oracle != now.fingerprint.end() && oracle->second == "true";
  return {.text = differences(there.recorded, now.recorded, places),
          .moves_digits = is_oracle || without_threads(there.recorded) != without_threads(now.recorded)};
}

std::string RecordedDifferences::warning() const {
  if (text.empty()) return "";
  return moves_digits ? "the last digits of rewards may move: " + text : text + "; rewards do not depend on it";
}

}  // namespace prm_score
