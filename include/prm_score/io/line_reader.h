// line_reader.h - files and pipes to physical lines, in bounded memory.
//
//   bytes:  BOM {"text":"a"} CR LF   SP LF   {"text":"b"}
//   lines:      1 ^^^^^^^^^^         2 ^     3 ^^^^^^^^^^
//
// A byte order mark at the start of a file and one CR before LF are dropped; the end of a file ends a line.
// LF alone ends a line, never U+2028, U+0085 or a lone CR. Blank lines are lines. What gzip or zstd has compressed is
// known by its first bytes, whatever its name, and read as what it was before.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/io/decompressor.h"
#include "prm_score/io/shard.h"
#include "prm_score/text/sha256.h"

namespace prm_score {

// The name that stands for standard input.
inline constexpr std::string_view kStandardInput = "-";

struct LineReaderOptions {
  std::vector<std::string> files;      // read in this order, `-` = standard input; none = standard input alone
  int64_t max_line_bytes = 256 << 20;  // without CR and LF, >= 0
  std::optional<int64_t> limit = {};   // physical lines over all files, >= 0
  Shard shard = {};                    // of the lines up to the limit; the others are read, and passed over
  bool hash = false;                   // give Line::input_sha256
  int stop_fd = -1;                    // reading ends, also in the middle of a wait, once this descriptor is readable
};

struct Line {
  std::string_view bytes;  // without LF and the CR before it; valid until the next call; empty if `is_too_long`
  int64_t number = 0;      // 1-based in its file
  size_t file_index = 0;   // into LineReader::files()
  bool is_too_long = false;
  // Of all lines up to this one, over all files, other shards' too, each ended by one LF, otherwise as they are: what
  // `sha256sum` says of the input up to here. Empty unless asked for.
  std::string input_sha256 = {};

  // Of JSON white space only.
  [[nodiscard]] bool is_blank() const {
    return !is_too_long && bytes.find_first_not_of(" \t\r\n") == std::string_view::npos;
  }
};

// Holds at most two blocks and one line of `max_line_bytes`. Not thread-safe.
class LineReader {
 public:
  // Throws Error naming the first file that is missing, a directory or not readable. Opens none yet.
  explicit LineReader(LineReaderOptions options);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // The next line of the shard; nullopt at the end of all files, at the limit, or when stopped. A file is opened when
  // it is reached. Throws Error naming the file if it cannot be opened or read.
  [[nodiscard]] std::optional<Line> next();

  [[nodiscard]] const std::vector<std::string>& files() const { return options_.files; }

  // Physical lines so far, those passed over too: over all files, and of each file.
  [[nodiscard]] int64_t num_lines() const { return num_lines_; }
  [[nodiscard]] const std::vector<int64_t>& num_lines_of_files() const { return num_lines_of_files_; }

  // Of all those lines, as Line::input_sha256.
  [[nodiscard]] std::string input_sha256() const { return sha256_ ? sha256_->hex() : ""; }

  // Bytes of the files, as they lie there, that the lines up to the last one took: of a compressed file about, as it is
  // decompressed a little ahead.
  [[nodiscard]] int64_t num_input_bytes() const;

  // What that comes to at the end: the size of all files, when the reader was made; nullopt if one is a pipe.
  [[nodiscard]] std::optional<int64_t> total_input_bytes() const { return total_input_bytes_; }

  [[nodiscard]] bool was_stopped() const { return was_stopped_; }

 private:
  std::optional<Line> next_of_any_shard();
  bool open_next_file();
  bool fill_block();  // false at the end of the file or when stopped
  bool decompress();
  bool read_bytes(std::vector<char>& buffer, size_t num_kept);
  void look_at_first_bytes();
  bool wait_for_input();
  void close_file();
  std::optional<Line> take_line();
  Line finish_line(std::string_view bytes);
  void hash(std::string_view bytes);

  LineReaderOptions options_;
  size_t num_opened_ = 0;  // files opened so far; the current one is the last of them
  int fd_ = -1;
  bool is_at_file_start_ = false, are_first_bytes_known_ = false;
  bool was_stopped_ = false;
  int64_t num_lines_ = 0;       // over all files
  int64_t num_read_bytes_ = 0;  // over all files, compressed ones as they are
  std::optional<int64_t> total_input_bytes_;
  std::vector<int64_t> num_lines_of_files_;
  std::vector<char> block_;  // bytes [block_begin_, block_end_) are not yet consumed
  size_t block_begin_ = 0, block_end_ = 0;
  std::unique_ptr<Decompressor> decompressor_;  // of the current file, if it needs one
  std::vector<char> compressed_;                // bytes [compressed_begin_, compressed_end_) are not yet taken
  size_t compressed_begin_ = 0, compressed_end_ = 0;
  std::string pending_;  // start of a line that did not end in its block
  std::optional<Sha256> sha256_;
};

}  // namespace prm_score
