#include "prm_score/io/likely_causes.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

namespace prm_score {
namespace {

using Values = std::map<std::string, std::string>;
using IsOfKind = bool (*)(const std::string& name);

constexpr std::string_view kHashOf = "SHA-256 of ";

// Options that say what a row repeats, not what it is worth.
constexpr std::array<std::string_view, 4> kRepeatingOptions = {"--id-field", "--keep", "--keep-all", "--spans"};

bool is_tokenizer(const std::string& name) { return name.starts_with("SHA-256 of tokenizer"); }
bool is_template(const std::string& name) { return name == "SHA-256 of the template"; }
bool is_checkpoint(const std::string& name) {
  return name.starts_with(kHashOf) && !is_tokenizer(name) && !is_template(name);
}
bool is_dtype(const std::string& name) { return name == "dtype"; }
bool is_repeating_option(const std::string& name) {
  return std::ranges::find(kRepeatingOptions, name) != kRepeatingOptions.end();
}
bool is_option(const std::string& name) {
  return (name.starts_with("--") && !is_repeating_option(name)) || name == "files";
}

// "3f9a.." of `"3f9ab6.."`: enough to tell two hashes apart.
std::string short_hash(const std::string& value) {
  constexpr size_t kNumDigits = 12;
  const size_t begin = value.starts_with('"') ? 1 : 0;
  if (value.size() <= begin) return "nothing";
  return value.size() < begin + kNumDigits ? value : value.substr(begin, kNumDigits) + "..";
}

// "model.safetensors", "template".
std::string name_of_hashed(const std::string& name) {
  return is_template(name) ? "template" : name.substr(kHashOf.size());
}

// The files' names without their folders, as rows are compared: what the files hold, `fixtures` says.
std::string file_names(const std::string& paths_json) {
  nlohmann::json names = nlohmann::json::parse(paths_json, nullptr, /*allow_exceptions=*/false);
  if (!names.is_array()) return paths_json;
  for (auto& name : names) {
    if (name.is_string()) name = std::filesystem::path(name.get<std::string>()).filename().string();
  }
  return names.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// What of `values` is of one kind, its hashes short and its files by their names.
Values part_of(const Values& values, IsOfKind is_of_kind) {
  Values part;
  for (const auto& [name, value] : values) {
    if (!is_of_kind(name)) continue;
    const bool is_hash = name.starts_with(kHashOf);
    part[is_hash ? name_of_hashed(name) : name] = is_hash           ? short_hash(value)
                                                  : name == "files" ? file_names(value)
                                                                    : value;
  }
  return part;
}

// The number of threads moves no bit where prefixes are shared.
Values records_that_matter(const RunState& state) {
  Values records = state.recorded;
  const auto alone = state.fingerprint.find("--no-prefix-sharing");
  if (alone == state.fingerprint.end() || alone->second != "true") records.erase("threads_per_replica");
  return records;
}

class Causes {
 public:
  Causes(const RunState& golden, const RunState& now) : golden_(golden), now_(now) {}

  // Adds a line if the two differ in it.
  bool add(const char* kind, IsOfKind is_of_kind, const char* remark = "") {
    const std::string text =
        differences(part_of(golden_.fingerprint, is_of_kind), part_of(now_.fingerprint, is_of_kind));
    const std::string start = std::string(kind) + ": ";
    if (!text.empty()) lines_.push_back((text.starts_with(start) ? "" : start) + text + remark);
    return !text.empty();
  }

  bool add_fixtures() {
    const std::string &there = golden_.progress.input_sha256, &here = now_.progress.input_sha256;
    if (there == here) return false;
    lines_.push_back("fixtures: SHA-256 of the lines: " + short_hash(there) + " there, " + short_hash(here) + " now");
    return true;
  }

  void add_numerics() {
    const std::string text = differences(records_that_matter(golden_), records_that_matter(now_));
    lines_.push_back(
        text.empty() ? "unknown: nothing that was recorded differs; was the golden edited, or is this another build?"
                     : "numerics: same fixtures, checkpoint, tokenizer, template, options and dtype; " + text);
  }

  [[nodiscard]] std::vector<std::string> take() { return std::move(lines_); }

 private:
  const RunState& golden_;
  const RunState& now_;
  std::vector<std::string> lines_;
};

std::vector<std::string> causes_without_golden(const RowComparison& comparison) {
  if (comparison.have_ids_moved)
    return {"unknown (the golden has no metadata of check --update): ids moved, so texts or tokenizer did"};
  if (comparison.are_ids_same())
    return {"unknown (the golden has no metadata of check --update): the ids are the same"};
  return {"unknown (the golden has no metadata of check --update)"};
}

}  // namespace

std::vector<std::string> likely_causes(const RowComparison& comparison, const std::optional<RunState>& golden,
                                       const RunState& now) {
  if (comparison.num_moved == 0) return {};
  if (!golden) return causes_without_golden(comparison);
  Causes causes(*golden, now);
  const bool are_ids_same = comparison.are_ids_same();
  bool is_known = causes.add_fixtures();
  is_known |= causes.add("tokenizer", is_tokenizer, are_ids_same ? " (the texts' ids are the same)" : "");
  is_known |= causes.add("template", is_template);
  is_known |= causes.add("checkpoint", is_checkpoint);
  is_known |= causes.add("options", is_option);
  is_known |= causes.add("dtype", is_dtype);
  causes.add("options of what rows repeat", is_repeating_option);
  if (!is_known) causes.add_numerics();
  return causes.take();
}

}  // namespace prm_score
