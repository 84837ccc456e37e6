#include "prm_score/io/shard_merge.h"

#include <algorithm>
#include <memory>
#include <queue>
#include <utility>

#include <sys/resource.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr size_t kMaxNamedShards = 20;

// Every shard is open at once, and the usual limit is 1,024 files.
void allow_open_files(size_t num_files) {
  constexpr size_t kOthers = 64;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= num_files + kOthers) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, num_files + kOthers);
  setrlimit(RLIMIT_NOFILE, &limit);  // if not, opening the first file too many says so
}

ComparedPlaces places_of(const ShardOutput& a, const ShardOutput& b) { return {"in " + a.path, "in " + b.path}; }

void expect_one_input(const ShardOutput& first, const ShardOutput& other) {
  const InputSummary &a = first.state.input, &b = other.state.input;
  const bool has_same_lines =
      std::ranges::equal(a.files, b.files, {}, &InputFileSummary::num_lines, &InputFileSummary::num_lines);
  if (has_same_lines && a.sha256 == b.sha256) return;
  throw Error(other.path + ": expected the input of " + first.path +
              ", found another: " + std::to_string(first.state.progress.counts.num_lines) + " lines, SHA-256 " +
              a.sha256 + " in " + first.path + ", " + std::to_string(other.state.progress.counts.num_lines) +
              " lines, SHA-256 " + b.sha256 + " in " + other.path);
}

void add_counts(RunCounts& sum, const RunCounts& counts) {
  sum.num_scored_rows += counts.num_scored_rows;
  sum.num_bad_rows += counts.num_bad_rows;
  sum.num_tokens += counts.num_tokens;
  sum.num_chunks += counts.num_chunks;
  sum.num_special_tokens += counts.num_special_tokens;
  sum.num_template_markers += counts.num_template_markers;
  sum.num_context_cut += counts.num_context_cut;
}

// A shard, and the row of it that comes next.
struct Source {
  std::unique_ptr<ShardRowReader> reader;
  ShardRow row;
};

struct IsLater {
  bool operator()(const Source& a, const Source& b) const { return a.row.line_index > b.row.line_index; }
};

}  // namespace

ShardMerge::ShardMerge(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) shards_.push_back(open_shard_output(path));
  expect_one_run();
  std::ranges::stable_sort(shards_, {}, [](const ShardOutput& output) { return output.shard.number; });
  expect_all_shards();
  merge_states();
}

void ShardMerge::expect_one_run() const {
  const ShardOutput& first = shards_.front();
  for (const ShardOutput& other : shards_) {
    const auto text = differences(first.state.fingerprint, other.state.fingerprint, places_of(first, other));
    if (!text.empty())
      throw Error(other.path + ": expected a shard of the run of " + first.path + ", found another: " + text);
    expect_one_input(first, other);
  }
}

void ShardMerge::expect_all_shards() const {
  const int64_t num_shards = shards_.front().shard.num_shards;
  std::string missing;
  size_t num_missing = 0;
  int64_t expected = 0;
  for (size_t i = 0; i < shards_.size(); ++i) {
    const int64_t number = shards_[i].shard.number;
    if (i > 0 && number == shards_[i - 1].shard.number) {
      throw Error(shards_[i - 1].path + " and " + shards_[i].path +
                  ": expected each shard once, found both to be shard " + std::to_string(number) + " of " +
                  std::to_string(num_shards));
    }
    for (; expected < number; ++expected) {
      if (num_missing++ < kMaxNamedShards) missing += (missing.empty() ? "" : ", ") + std::to_string(expected);
    }
    ++expected;
  }
  for (; expected < num_shards && num_missing <= kMaxNamedShards; ++expected) {
    if (num_missing++ < kMaxNamedShards) missing += (missing.empty() ? "" : ", ") + std::to_string(expected);
  }
  if (num_missing == 0) return;
  throw Error("expected all " + std::to_string(num_shards) + " shards, found " + std::to_string(shards_.size()) +
              ": missing: " + missing + (num_missing > kMaxNamedShards ? ", .." : ""));
}

void ShardMerge::merge_states() {
  const ShardOutput& first = shards_.front();
  state_ = {.fingerprint = first.state.fingerprint, .recorded = first.state.recorded, .progress = {}, .exit_code = {}};
  state_.fingerprint.erase("--num-shards");
  state_.input = first.state.input;
  for (auto& file : state_.input.files) file.num_rows = 0;
  bool is_told = false;  // the first one that moves digits
  for (const ShardOutput& shard : shards_) {
    const auto found = recorded_differences(first.state, shard.state, places_of(first, shard));
    if (!found.text.empty() && !is_told && (found.moves_digits || warning_.empty())) {
      warning_ = found.warning();
      is_told = found.moves_digits;
    }
    for (size_t i = 0; i < state_.input.files.size(); ++i) {
      state_.input.files[i].num_rows += shard.state.input.files[i].num_rows;
    }
    add_counts(state_.progress.counts, shard.state.progress.counts);
    state_.progress.num_bytes += shard.state.progress.num_bytes;
  }
  state_.progress.counts.num_lines = first.state.progress.counts.num_lines;
}

void ShardMerge::check_rows() {
  int64_t last = -1;
  for (const ShardOutput& shard : shards_) {
    ShardRowReader reader(shard);
    int64_t last_of_shard = -1;
    while (const auto row = reader.next()) last_of_shard = row->line_index;
    if (last_of_shard <= last) continue;
    last = last_of_shard;
    state_.progress.input_sha256 = shard.state.progress.input_sha256;
  }
}

void ShardMerge::for_each_row(const std::function<bool(std::string_view row)>& take) const {
  allow_open_files(shards_.size());
  std::vector<Source> waiting;  // a heap
  const auto add = [&](std::unique_ptr<ShardRowReader> reader) {
    const auto row = reader->next();
    if (!row) return;
    waiting.push_back({.reader = std::move(reader), .row = *row});
    std::ranges::push_heap(waiting, IsLater());
  };
  for (const ShardOutput& shard : shards_) add(std::make_unique<ShardRowReader>(shard));
  while (!waiting.empty()) {
    std::ranges::pop_heap(waiting, IsLater());
    Source source = std::move(waiting.back());
    waiting.pop_back();
    if (!take(source.row.bytes)) return;
    add(std::move(source.reader));
  }
}

}  // namespace prm_score
