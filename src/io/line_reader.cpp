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

Error file_error(const std::string& file, int error_number) {
  const std::string name = file == kStandardInput ? "standard input" : file;
  return Error(name + ": cannot be read: " + std::generic_category().message(error_number));
}

void check_readable(const std::string& file) {
  if (file == kStandardInput) return;
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) throw file_error(file, errno);
  if (S_ISDIR(status.st_mode)) throw file_error(file, EISDIR);
  if (access(file.c_str(), R_OK) != 0) throw file_error(file, errno);
}

}  // namespace

LineReader::LineReader(LineReaderOptions options) : options_(std::move(options)), block_(kBlockBytes) {
  if (options_.files.empty()) options_.files.emplace_back(kStandardInput);
  for (const auto& file : options_.files) check_readable(file);
}

LineReader::~LineReader() { close_file(); }

std::optional<Line> LineReader::next() {
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
  line_in_file_ = 0;
  block_begin_ = block_end_ = 0;
  return true;
}

void LineReader::close_file() {
  if (fd_ > STDIN_FILENO) close(fd_);
  fd_ = -1;
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

bool LineReader::fill_block() {
  while (wait_for_input()) {
    const ssize_t num_read = read(fd_, block_.data(), block_.size());
    if (num_read >= 0) {
      block_begin_ = 0;
      block_end_ = static_cast<size_t>(num_read);
      return num_read > 0;
    }
    if (errno != EINTR && errno != EAGAIN) throw file_error(files()[num_opened_ - 1], errno);
  }
  return false;
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
    if (newline && !has_bytes) return finish_line({begin, num_bytes + 1});
    has_bytes = true;
    pending_.append(begin, std::min(num_bytes, max_kept - pending_.size()));
    if (newline) return finish_line(pending_.append("\n"));
  }
  if (!has_bytes || was_stopped_) return std::nullopt;
  return finish_line(pending_);
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
  Line line{.bytes = bytes, .number = ++line_in_file_, .file_index = num_opened_ - 1};
  if (static_cast<int64_t>(bytes.size()) > options_.max_line_bytes) {
    line.is_too_long = true;
    line.bytes = {};
  }
  return line;
}

}  // namespace prm_score
