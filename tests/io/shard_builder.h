// shard_builder.h - outputs of shards for tests, written as a run writes them.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "prm_score/io/output_file.h"
#include "prm_score/text/sha256.h"

namespace prm_score {

// Rows of an input of several files, some of whose lines are blank, and its shards in a folder that is removed in the
// end.
class ShardBuilder {
 public:
  // One string per file, a character per line: 'x' has a row, 'b' a bad one, ' ' none.
  explicit ShardBuilder(std::vector<std::string> files) : files_(std::move(files)) {
    std::filesystem::create_directories(folder_);
  }
  ~ShardBuilder() { std::filesystem::remove_all(folder_); }
  ShardBuilder(const ShardBuilder&) = delete;
  ShardBuilder& operator=(const ShardBuilder&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }

  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  void write(const std::string& name, const std::string& contents) const {
    std::ofstream(path(name), std::ios::binary) << contents;
  }

  // Replaces `from`, which is there, in a file.
  void edit(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = read(name);
    const size_t place = text.find(from);
    ASSERT_NE(place, std::string::npos) << name << " lacks " << from;
    write(name, text.replace(place, from.size(), to));
  }

  // The rows that a shard has; all rows by default.
  [[nodiscard]] std::string rows(Shard shard = {}) const {
    std::string text;
    for_each_row(shard, [&](const std::string& row, char /*kind*/) { text += row; });
    return text;
  }

  // Writes "out.I" and its state; gives its path. `state`: what is in it besides what is counted.
  std::string make(Shard shard, const RunState& state) const {
    const std::string name = path("out." + std::to_string(shard.number));
    RunState of_run = state;
    of_run.fingerprint["--num-shards"] = std::to_string(shard.num_shards);
    of_run.shard = shard.number;
    OutputFile output(name, IfThere::kOverwrite, of_run);
    output.begin(0, "");
    RunCounts counts;
    for_each_row(shard, [&](const std::string& row, char kind) {
      ++(kind == 'b' ? counts.num_bad_rows : counts.num_scored_rows);
      output.write(row, counts, "up to " + row);
    });
    counts.num_lines = num_lines();
    output.finish(counts, counts.num_bad_rows > 0 ? 3 : 0, summary(shard));
    return name;
  }

  std::vector<std::string> make_all(int64_t num_shards, const RunState& state = {}) const {
    std::vector<std::string> paths;
    for (int64_t i = 0; i < num_shards; ++i) paths.push_back(make({.number = i, .num_shards = num_shards}, state));
    return paths;
  }

  [[nodiscard]] InputSummary summary(Shard shard) const {
    InputSummary input;
    int64_t index = 0;
    for (const std::string& file : files_) {
      input.sha256 += file;
      auto& of_file = input.files.emplace_back();
      of_file.num_lines = std::ssize(file);
      for (const char kind : file) of_file.num_rows += shard.has(index++) && kind != ' ' ? 1 : 0;
    }
    return input;
  }

  [[nodiscard]] int64_t num_lines() const {
    int64_t sum = 0;
    for (const std::string& file : files_) sum += std::ssize(file);
    return sum;
  }

 private:
  template <typename Take>
  void for_each_row(Shard shard, Take take) const {
    int64_t index = 0;
    for (size_t file = 0; file < files_.size(); ++file) {
      for (size_t line = 0; line < files_[file].size(); ++line) {
        if (!shard.has(index++) || files_[file][line] == ' ') continue;
        const std::string name = files_.size() > 1 ? ",\"file\":\"f\"" : "";  // one name for all: it must not matter
        take("{\"line\":" + std::to_string(line + 1) + name + ",\"id\":" + std::to_string(index) + "}\n",
             files_[file][line]);
      }
    }
  }

  std::vector<std::string> files_;
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("shard_builder." + std::to_string(getpid()));
};

}  // namespace prm_score
