#include "prm_score/io/line_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr size_t kBlockBytes = 256 << 10;
constexpr size_t kKeptPendingBytes = 4 << 20;  // a longer buffer is given back after its line
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string name_of(const std::string& file) { return file == kStandardInput ? "standard input" : file; }

Error file_error(const std::string& file, int error_number) {
  return Error(name_of(file) + ": cannot be read: " + std::generic_category().message(error_number));
}

void check_readable(const std::string& file) {
  if (file == kStandardInput) return;
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) throw file_error(file, errno);
  if (S_ISDIR(status.st_mode)) throw file_error(file, EISDIR);
  if (access(file.c_str(), R_OK) != 0) throw file_error(file, errno);
}

// Bytes that are left to read; nullopt of what has no end that is known.
std::optional<int64_t> num_bytes_left(const std::string& file) {
  struct stat status {};
  const bool is_input = file == kStandardInput;
  if ((is_input ? fstat(STDIN_FILENO, &status) : stat(file.c_str(), &status)) != 0) return std::nullopt;
  if (!S_ISREG(status.st_mode)) return std::nullopt;
  const off_t begin = is_input ? lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
  return std::max<int64_t>(0, status.st_size - std::max<off_t>(0, begin));
}

std::optional<int64_t> num_bytes_left(const std::vector<std::string>& files) {
  int64_t num_bytes = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const auto before = files.begin() + static_cast<std::ptrdiff_t>(i);
    if (files[i] == kStandardInput && std::find(files.begin(), before, files[i]) != before) continue;  // empty by then
    const auto of_file = num_bytes_left(files[i]);
    if (!of_file) return std::nullopt;
    num_bytes += *of_file;
  }
  return num_bytes;
}

}  // namespace

LineReader::LineReader(LineReaderOptions options) : options_(std::move(options)), block_(kBlockBytes) {
  if (options_.files.empty()) options_.files.emplace_back(kStandardInput);
  for (const auto& file : options_.files) check_readable(file);
  num_lines_of_files_.resize(options_.files.size());
  if (options_.hash) sha256_.emplace();
  total_input_bytes_ = num_bytes_left(options_.files);
}

LineReader::~LineReader() { close_file(); }

int64_t LineReader::num_input_bytes() const {
  const size_t num_ahead = decompressor_ ? compressed_end_ - compressed_begin_ : block_end_ - block_begin_;
  return num_read_bytes_ - static_cast<int64_t>(num_ahead);
}

std::optional<Line> LineReader::next() {
  while (auto line = next_of_any_shard()) {
    if (!options_.shard.has(num_lines_ - 1)) continue;
    line->input_sha256 = input_sha256();
    return line;
  }
  return std::nullopt;
}

std::optional<Line> LineReader::next_of_any_shard() {
  if (options_.limit && num_lines_ >= *options_.limit) return std::nullopt;
  while (!was_stopped_ && (fd_ >= 0 || open_next_file())) {
    if (auto line = take_line()) return line;
    close_file();
  }
  return std::nullopt;
}

bool LineReader::open_next_file() {
  if (num_opened_ == options_.files.size()) return false;
  const auto& file = options_.files[num_opened_++];
  fd_ = file == kStandardInput ? STDIN_FILENO : open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) throw file_error(file, errno);
  is_at_file_start_ = true;
  are_first_bytes_known_ = false;
  block_begin_ = block_end_ = 0;
  return true;
}

void LineReader::close_file() {
  if (fd_ > STDIN_FILENO) close(fd_);
  fd_ = -1;
  decompressor_ = nullptr;
}

// Waits for input or for a stop, whichever comes first: a signal that arrives just before a bare read() would be slept
// through. Files are always ready.
bool LineReader::wait_for_input() {
  pollfd waited[] = {{fd_, POLLIN, 0}, {options_.stop_fd, POLLIN, 0}};  // poll ignores a negative descriptor
  while (poll(waited, 2, -1) < 0) {
    if (errno != EINTR) throw file_error(files()[num_opened_ - 1], errno);
  }
  was_stopped_ = waited[1].revents != 0;
  return !was_stopped_;
}

// Fills `buffer` behind its first `num_kept` bytes; the number of bytes is then block_end_. False at the end of the
// file or when stopped.
bool LineReader::read_bytes(std::vector<char>& buffer, size_t num_kept) {
  while (wait_for_input()) {
    const ssize_t num_read = read(fd_, buffer.data() + num_kept, buffer.size() - num_kept);
    if (num_read >= 0) {
      num_read_bytes_ += num_read;
      block_end_ = num_kept + static_cast<size_t>(num_read);
      return num_read > 0;
    }
    if (errno != EINTR && errno != EAGAIN) throw file_error(files()[num_opened_ - 1], errno);
  }
  return false;
}

bool LineReader::fill_block() {
  if (decompressor_) return decompress();
  block_begin_ = block_end_ = 0;
  bool has_more = read_bytes(block_, 0);
  if (are_first_bytes_known_) return has_more;
  while (has_more && may_be_compressed({block_.data(), block_end_})) has_more = read_bytes(block_, block_end_);
  if (was_stopped_ || block_end_ == 0) return false;
  look_at_first_bytes();
  return decompressor_ ? decompress() : true;
}

// The file's first bytes are in block_.
void LineReader::look_at_first_bytes() {
  are_first_bytes_known_ = true;
  try {
    decompressor_ = make_decompressor({block_.data(), block_end_});
  } catch (const Error& error) {
    throw Error(name_of(files()[num_opened_ - 1]) + ": " + error.what());
  }
  if (!decompressor_) return;
  compressed_.resize(kBlockBytes);
  std::swap(block_, compressed_);
  compressed_begin_ = 0;
  compressed_end_ = std::exchange(block_end_, 0);
}

bool LineReader::decompress() {
  const std::string name = name_of(files()[num_opened_ - 1]);
  block_begin_ = block_end_ = 0;
  while (true) {
    Decompressor::Moved moved;
    try {
      const std::string_view left{compressed_.data() + compressed_begin_, compressed_end_ - compressed_begin_};
      moved = decompressor_->move(left, block_);
    } catch (const Error& error) {
      throw Error(name + ": cannot be read: " + error.what());
    }
    compressed_begin_ += moved.num_taken;
    block_end_ = moved.num_given;
    if (moved.num_given > 0) return true;
    if (compressed_begin_ < compressed_end_) continue;
    const bool has_more = read_bytes(compressed_, 0);
    compressed_begin_ = 0;
    compressed_end_ = std::exchange(block_end_, 0);
    if (was_stopped_) return false;
    if (has_more) continue;
    if (decompressor_->is_whole()) return false;
    throw Error(name + ": cannot be read: " + decompressor_->name() +
                ": expected more bytes, found the end of the file");
  }
}

// Collects up to the next LF or the end of the file. Of a line that is too long a little more than the limit is kept:
// one byte over it after what does not count (byte order mark, CR) is dropped. It is read to its end all the same.
std::optional<Line> LineReader::take_line() {
  const size_t max_kept = static_cast<size_t>(options_.max_line_bytes) + kByteOrderMark.size() + 1 + 1;
  if (pending_.capacity() > kKeptPendingBytes) pending_.shrink_to_fit();
  pending_.clear();
  bool has_bytes = false;
  while (block_begin_ < block_end_ || fill_block()) {
    const char* begin = block_.data() + block_begin_;
    const size_t available = block_end_ - block_begin_;
    const auto* newline = static_cast<const char*>(std::memchr(begin, '\n', available));
    const size_t num_bytes = newline ? static_cast<size_t>(newline - begin) : available;
    block_begin_ += num_bytes + (newline ? 1 : 0);
    hash({begin, num_bytes});
    if (newline && !has_bytes) return finish_line({begin, num_bytes + 1});
    has_bytes = true;
    pending_.append(begin, std::min(num_bytes, max_kept - pending_.size()));
    if (newline) return finish_line(pending_.append("\n"));
  }
  if (!has_bytes || was_stopped_) return std::nullopt;
  return finish_line(pending_);
}

void LineReader::hash(std::string_view bytes) {
  if (sha256_) sha256_->update(bytes);
}

Line LineReader::finish_line(std::string_view bytes) {
  if (std::exchange(is_at_file_start_, false) && bytes.starts_with(kByteOrderMark)) {
    bytes.remove_prefix(kByteOrderMark.size());
  }
  if (bytes.ends_with('\n')) {
    bytes.remove_suffix(1);
    if (bytes.ends_with('\r')) bytes.remove_suffix(1);
  }
  ++num_lines_;
  const size_t file_index = num_opened_ - 1;
  Line line{.bytes = bytes, .number = ++num_lines_of_files_[file_index], .file_index = file_index};
  hash("\n");
  if (static_cast<int64_t>(bytes.size()) > options_.max_line_bytes) {
    line.is_too_long = true;
    line.bytes = {};
  }
  return line;
}

}  // namespace prm_score
