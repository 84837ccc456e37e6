#include "prm_score/io/shard_output.h"

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "prm_score/error.h"
#include "prm_score/io/replace_file.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBufferBytes = 64 << 10;  // one per shard, and there may be a thousand
constexpr std::string_view kRowBegin = "{\"line\":";

bool is_there(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

void expect_complete(const std::string& path) {
  const std::string partial = path + ".partial";
  if (is_there(partial)) {
    throw Error(path + ": expected a complete output, found " + partial +
                ": its run has not come to its end (--resume goes on with it)");
  }
  if (!is_there(path)) throw Error(path + ": expected the output of a shard, found no such file");
  if (!is_there(path + ".state")) {
    throw Error(path + ".state: expected the state of the run that wrote " + path + ", found no such file");
  }
}

// What `--num-shards` of the fingerprint and `shard` of the state say.
Shard shard_of(const std::string& path, const RunState& state) {
  const auto found = state.fingerprint.find("--num-shards");
  Shard shard;
  if (!state.shard || found == state.fingerprint.end()) {
    throw Error(path + ": expected the output of a run with --shard, found one of a run without");
  }
  shard.number = *state.shard;
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), shard.num_shards);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  if (is_number && shard.num_shards >= 1 && shard.number >= 0 && shard.number < shard.num_shards) return shard;
  throw Error(path + ".state: expected a shard of --num-shards, from 0, found " + std::to_string(shard.number) +
              " of " + text);
}

void expect_size(const std::string& path, int64_t expected) {
  std::error_code error;
  const auto num_bytes = fs::file_size(path, error);
  if (error) throw Error(path + ": cannot be read: " + error.message());
  if (num_bytes == static_cast<uint64_t>(expected)) return;
  throw Error(path + ": expected " + std::to_string(expected) + " bytes, as were written, found " +
              std::to_string(num_bytes));
}

void expect_counts_to_agree(const std::string& path, const RunState& state) {
  int64_t num_rows = 0, num_lines = 0;
  for (const auto& file : state.input.files) {
    if (file.num_lines < 0 || file.num_rows < 0 || file.num_rows > file.num_lines) {
      throw Error(path + ".state: input: expected as many rows as lines at most, found " +
                  std::to_string(file.num_rows) + " and " + std::to_string(file.num_lines));
    }
    num_rows += file.num_rows;
    num_lines += file.num_lines;
  }
  if (num_rows == state.progress.num_rows() && num_lines == state.progress.counts.num_lines) return;
  throw Error(path + ".state: expected " + std::to_string(state.progress.num_rows()) + " rows of " +
              std::to_string(state.progress.counts.num_lines) + " lines, as it counts, found " +
              std::to_string(num_rows) + " of " + std::to_string(num_lines) + " in its input");
}

}  // namespace

ShardOutput open_shard_output(const std::string& path) {
  expect_complete(path);
  ShardOutput output = {
      .path = path, .state = parse_run_state(read_whole(path + ".state"), path + ".state"), .shard = {}};
  const RunState& state = output.state;
  output.shard = shard_of(path, state);
  if (!state.exit_code || state.rows_sha256.empty() || state.input.files.empty()) {
    throw Error(path + ".state: expected the state of a complete output, found that of one whose rows are missing");
  }
  expect_size(path, state.progress.num_bytes);
  expect_counts_to_agree(path, state);
  return output;
}

ShardRowReader::ShardRowReader(const ShardOutput& output) : output_(output), buffer_(kBufferBytes) {
  rows_.rdbuf()->pubsetbuf(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  rows_.open(output_.path, std::ios::binary);
  if (!rows_) throw Error(output_.path + ": cannot be read: " + std::generic_category().message(errno));
}

std::string ShardRowReader::place() const { return output_.path + ": row " + std::to_string(num_rows_) + ": "; }

std::optional<ShardRow> ShardRowReader::next() {
  if (!std::getline(rows_, row_)) {
    if (rows_.bad()) throw Error(output_.path + ": cannot be read");
    expect_whole();
    return std::nullopt;
  }
  ++num_rows_;
  if (rows_.eof()) throw Error(place() + "expected a line feed behind it, found the end of the file");
  row_ += '\n';
  sha256_.update(row_);
  return ShardRow{.bytes = row_, .line_index = line_index_of_row()};
}

// A row says its line within its file; which file that is, the numbers of rows tell: names need not be different.
int64_t ShardRowReader::line_index_of_row() {
  const auto& files = output_.state.input.files;
  while (file_index_ < files.size() && num_rows_of_file_ == files[file_index_].num_rows) {
    num_lines_before_ += files[file_index_++].num_lines;
    num_rows_of_file_ = 0;
  }
  if (file_index_ == files.size()) {
    throw Error(place() + "expected " + std::to_string(num_rows_ - 1) + " rows, as its state has, found more");
  }
  ++num_rows_of_file_;
  int64_t line = 0;
  const bool has_line = row_.starts_with(kRowBegin);
  if (has_line) std::from_chars(row_.data() + kRowBegin.size(), row_.data() + row_.size(), line);
  const int64_t index = num_lines_before_ + line - 1;
  const bool is_its = line >= 1 && line <= files[file_index_].num_lines && output_.shard.has(index);
  if (!is_its || index <= line_index_) {
    throw Error(place() + "expected a row of shard " + std::to_string(output_.shard.number) + " of " +
                std::to_string(output_.shard.num_shards) + ", behind the row before it, found " +
                (has_line ? "line " + std::to_string(line) : "something else"));
  }
  return line_index_ = index;
}

void ShardRowReader::expect_whole() const {
  const RunState& state = output_.state;
  if (num_rows_ != state.progress.num_rows()) {
    throw Error(output_.path + ": expected " + std::to_string(state.progress.num_rows()) +
                " rows, as its state has, found " + std::to_string(num_rows_));
  }
  if (const std::string found = sha256_.hex(); found != state.rows_sha256) {
    throw Error(output_.path + ": expected the rows that were written, found others: SHA-256 " + state.rows_sha256 +
                " in its state, " + found + " now");
  }
}

}  // namespace prm_score
