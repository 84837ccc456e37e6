#include "prm_score/io/output_file.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prm_score/error.h"
#include "prm_score/io/replace_file.h"
#include "prm_score/text/sha256.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

Error file_error(const std::string& path, const char* what, int error_number) {
  return Error(path + ": " + what + ": " + std::generic_category().message(error_number));
}

bool is_there(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT) return false;
  throw file_error(path, "cannot be looked at", errno);
}

void remove_file(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) throw file_error(path, "cannot be removed", errno);
}

void rename_file(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) throw file_error(to, "cannot be made by renaming", errno);
  sync_folder_of(to);
}

// Never over a file that somebody else has made, where the file system knows how.
void rename_to_new(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return sync_folder_of(to);
  if (errno == EEXIST || is_there(to)) {
    throw Error(to + ": expected no such file, found one that was made meanwhile; all rows are in " + from);
  }
  rename_file(from, to);
}

// A descriptor, closed in the end.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// Opened for appending, and locked: the kernel gives the lock back with the last descriptor, however the process ends.
Descriptor open_locked(const std::string& path, int flags) {
  Descriptor file(open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0666));
  if (!file.is_open()) throw file_error(path, "cannot be written", errno);
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) throw Error(path + ": another process is writing it");
    const bool is_unknown_here = errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK;  // some network disks
    if (!is_unknown_here) throw file_error(path, "cannot be locked", errno);
  }
  return file;
}

// What `line` is without its line end: a row, or what a power cut has left.
bool is_row(std::string_view line) { return nlohmann::json::accept(line) && line.starts_with('{'); }

// `num_bytes` from `offset`, fewer at the end of the file.
std::string read_at(int fd, const std::string& path, int64_t offset, size_t num_bytes) {
  std::string bytes(num_bytes, '\0');
  size_t num_read = 0;
  while (num_read < num_bytes) {
    const ssize_t got = pread(fd, bytes.data() + num_read, num_bytes - num_read,
                              static_cast<off_t>(offset + static_cast<int64_t>(num_read)));
    if (got < 0 && errno != EINTR) throw file_error(path, "cannot be read", errno);
    if (got == 0) break;
    if (got > 0) num_read += static_cast<size_t>(got);
  }
  bytes.resize(num_read);
  return bytes;
}

// The first `num_bytes` of a file.
void hash_file(int fd, const std::string& path, int64_t num_bytes, Sha256& hash) {
  constexpr int64_t kBlockBytes = 1 << 20;
  for (int64_t begin = 0; begin < num_bytes; begin += kBlockBytes) {
    const auto size = static_cast<size_t>(std::min(kBlockBytes, num_bytes - begin));
    hash.update(read_at(fd, path, begin, size));
  }
}

}  // namespace

class OutputFile::Impl {
 public:
  Impl(std::string path, IfThere if_there, const RunState& now, std::chrono::milliseconds sync_interval)
      : path_(std::move(path)), if_there_(if_there), sync_interval_(sync_interval), state_(now) {
    check_replaceable(path_);
    expect_regular_files();
    if (if_there_ == IfThere::kResume) {
      look_for_earlier_run(now);
    } else if (if_there_ == IfThere::kRefuse) {
      for (const std::string& file : {path_, partial()}) {
        if (is_there(file)) {
          throw Error(file + ": already there; --resume goes on with it, --overwrite begins again");
        }
      }
      if (is_there(state_file())) static_cast<void>(parse_run_state(read_whole(state_file()), state_file()));
    }
  }

  ~Impl() {
    try {
      close();
    } catch (const std::exception&) {
      // Whoever wants to know has called close() before.
    }
  }

  void begin(int64_t num_lines, const std::string& input_sha256) {
    if (!file_.is_open()) begin_afresh();
    if (!warning.empty()) there_bytes_ = answered.num_bytes;  // another machine's rows would not be the same
    end_at(there_bytes_);                                     // a torn last row goes
    hash_file(file_.get(), partial(), answered.num_bytes, rows_sha256_);
    written_ = answered;
    written_.counts.num_lines = num_lines;
    written_.input_sha256 = input_sha256;
    synced_bytes_ = answered.num_bytes;
    syncing_ = std::thread([this] { sync_now_and_then(); });
  }

  void write(std::string_view row, const RunCounts& counts, const std::string& input_sha256) {
    const std::lock_guard lock(mutex_);
    if (background_error_) std::rethrow_exception(std::exchange(background_error_, nullptr));
    if (!is_there_already(row)) {
      write_whole(row);
      there_bytes_ += static_cast<int64_t>(row.size());
    }
    rows_sha256_.update(row);
    written_.num_bytes += static_cast<int64_t>(row.size());
    written_.counts = counts;
    written_.input_sha256 = input_sha256;
  }

  void close() {
    stop_syncing();
    if (!file_.is_open() || has_sync_failed_) return;
    sync(written_, std::nullopt);
    file_.reset();
  }

  void finish(const RunCounts& counts, int exit_code, const InputSummary& input) {
    stop_syncing();
    if (written_.num_bytes < there_bytes_) {
      throw Error("--resume: input: expected at least the lines that the " + std::to_string(num_rows_there) +
                  " rows of " + partial() + " answer, found " + std::to_string(counts.num_lines) + " lines");
    }
    written_.counts = counts;
    state_.rows_sha256 = rows_sha256_.hex();
    state_.input = input;
    expect_still_there();
    expect_size(partial(), written_.num_bytes, /*may_be_longer=*/false);
    sync(written_, exit_code);
    rename_to_new(partial(), path_);
    file_.reset();
  }

  int complete() {
    if (file_.is_open()) {
      end_at(answered.num_bytes);
      rename_to_new(partial(), path_);
      file_.reset();
    }
    return *state_.exit_code;
  }

  [[nodiscard]] bool is_complete() const { return state_.exit_code.has_value(); }

  RunProgress answered;
  int64_t num_rows_there = 0;
  std::string warning;

 private:
  [[nodiscard]] std::string partial() const { return path_ + ".partial"; }
  [[nodiscard]] std::string state_file() const { return path_ + ".state"; }

  void expect_regular_files() const {
    for (const std::string& name : names_of(path_)) {
      struct stat status {};
      if (stat(name.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        throw Error(name + ": --output: expected the name of a regular file, found something else");
      }
    }
  }

  void look_for_earlier_run(const RunState& now) {
    const bool has_output = is_there(path_), has_partial = is_there(partial());
    if (has_partial) {  // before the state is read: from here on nobody changes either
      file_ = open_locked(partial(), 0);
      expect_still_there();
    }
    if (!is_there(state_file())) {
      if (!has_output && !has_partial) return;
      throw Error(state_file() + ": expected the state of the run that wrote " + (has_output ? path_ : partial()) +
                  ", found no such file");
    }
    const RunState there = parse_run_state(read_whole(state_file()), state_file());
    if (!has_output && !has_partial) return;  // killed before the first row, or moved away: a fresh start
    if (const auto text = differences(there.fingerprint, now.fingerprint); !text.empty()) {
      throw Error(path_ + ": --resume: expected the run that began it, found another: " + text);
    }
    if (there.shard != now.shard) {
      throw Error(path_ + ": --resume: expected " + shard_text(there.shard) + ", which began it, got " +
                  shard_text(now.shard));
    }
    if (has_output && has_partial) {
      throw Error(path_ + ": expected it or " + partial() + ", found both");
    }
    if (has_output && !there.exit_code) {
      throw Error(path_ + ": expected a complete output, as it has its name, found the state of an incomplete one");
    }
    warning = recorded_differences(there, now).warning();
    state_.exit_code = there.exit_code;
    answered = there.progress;
    num_rows_there = answered.num_rows();
    if (has_output) {
      expect_size(path_, answered.num_bytes, /*may_be_longer=*/false);
    } else {
      expect_size(partial(), answered.num_bytes, /*may_be_longer=*/true);
    }
    if (!is_complete()) {
      find_rows_there();
    } else if (!there.rows_sha256.empty()) {
      expect_rows(has_output ? path_ : partial(), there.rows_sha256);
    }
  }

  static void expect_size(const std::string& rows, int64_t size, bool may_be_longer) {
    std::error_code error;
    const auto num_bytes = fs::file_size(rows, error);
    if (error) throw Error(rows + ": cannot be read: " + error.message());
    const auto expected = static_cast<uint64_t>(size);
    if (may_be_longer ? num_bytes >= expected : num_bytes == expected) return;
    throw Error(rows + ": expected " + (may_be_longer ? "at least " : "") + std::to_string(expected) +
                " bytes, as were written, found " + std::to_string(num_bytes));
  }

  static std::string shard_text(const std::optional<int64_t>& shard) {
    return shard ? "shard " + std::to_string(*shard) : "no shard";
  }

  // `rows`: the file of a complete output. Throws Error if its rows are not those that were written.
  void expect_rows(const std::string& rows, const std::string& expected) const {
    const Descriptor file(open(rows.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) throw file_error(rows, "cannot be read", errno);
    Sha256 hash;
    hash_file(file.get(), rows, answered.num_bytes, hash);
    const std::string found = hash.hex();
    if (found == expected) return;
    throw Error(rows + ": expected the rows that were written, found others: SHA-256 " + expected + " in its state, " +
                found + " now; --overwrite scores them again");
  }

  // The whole rows behind those that the state knows of.
  void find_rows_there() {
    std::ifstream rows(partial(), std::ios::binary);
    rows.seekg(there_bytes_ = answered.num_bytes);
    for (std::string line; std::getline(rows, line) && !rows.eof(); ++num_rows_there) {
      if (!is_row(line)) break;  // lost with the power: it was not on the disk yet
      there_bytes_ += std::ssize(line) + 1;
    }
    if (rows.bad()) throw Error(partial() + ": cannot be read");
  }

  // Throws Error if the name is another file's by now.
  void expect_still_there() const {
    struct stat opened {
    }, named{};
    if (fstat(file_.get(), &opened) == 0 && lstat(partial().c_str(), &named) == 0 && opened.st_ino == named.st_ino)
      return;
    throw Error(partial() + ": another process has finished it or begun it again");
  }

  void end_at(int64_t num_bytes) const {
    if (ftruncate(file_.get(), num_bytes) != 0) throw file_error(partial(), "cannot be written", errno);
  }

  // Whether F.partial has `row` behind what is written. Throws Error if it has another one.
  [[nodiscard]] bool is_there_already(std::string_view row) const {
    if (written_.num_bytes == there_bytes_) return false;
    if (read_at(file_.get(), partial(), written_.num_bytes, row.size()) == row) return true;
    throw Error("--resume: input: expected the lines that are answered, found others: the row after the first " +
                std::to_string(written_.num_rows()) + " of " + partial() + " is another now");
  }

  // What can fail comes first: an output that is to be overwritten is lost only once there is another.
  void begin_afresh() {
    Descriptor overwritten;  // locked until its name is another file's
    if (if_there_ == IfThere::kOverwrite && is_there(partial())) overwritten = open_locked(partial(), 0);
    // Locked under another name: of two processes that begin at once one alone gets to rename it.
    const std::string beside = partial() + ".new";
    file_ = open_locked(beside, O_CREAT);
    try {
      begin_afresh_by_way_of(beside);
    } catch (const Error&) {
      unlink(beside.c_str());
      throw;
    }
    sync_folder_of(partial());
  }

  // The last step gives `beside` its name, so that a failure means that it has it still.
  void begin_afresh_by_way_of(const std::string& beside) {
    if (if_there_ != IfThere::kOverwrite && (is_there(path_) || is_there(partial()))) {
      throw Error(path_ + ": another process has just begun it");
    }
    if (ftruncate(file_.get(), 0) != 0) throw file_error(beside, "cannot be written", errno);
    state_.exit_code.reset();
    // A kill between any two of these leaves what --resume takes for a fresh start, or the old output with its state.
    write_synced(state_file() + ".new", state_text({}, std::nullopt));
    if (if_there_ == IfThere::kOverwrite) {
      for (const std::string& file : {path_, partial()}) remove_file(file);
    }
    rename_file(state_file() + ".new", state_file());
    if (rename(beside.c_str(), partial().c_str()) != 0)
      throw file_error(partial(), "cannot be made by renaming", errno);
  }

  void write_whole(std::string_view row) {
    while (!row.empty()) {
      const ssize_t num_written = ::write(file_.get(), row.data(), row.size());
      if (num_written >= 0) {
        row.remove_prefix(static_cast<size_t>(num_written));
      } else if (errno != EINTR) {
        const int error_number = errno;
        // A row is whole or not there; if not even that can be done, resuming drops the rest of it.
        [[maybe_unused]] const int ignored = ftruncate(file_.get(), there_bytes_);
        throw file_error(partial(), "cannot be written", error_number);
      }
    }
  }

  [[nodiscard]] std::string state_text(const RunProgress& progress, std::optional<int> exit_code) const {
    RunState state = state_;
    state.progress = progress;
    state.exit_code = exit_code;
    return format_run_state(state);
  }

  void write_state(const RunProgress& progress, std::optional<int> exit_code) const {
    replace_file(state_file(), state_file() + ".new", state_text(progress, exit_code));
    sync_folder_of(state_file());
  }

  // The rows first: the state never says more than is there. After a failure never again: the kernel may have dropped
  // what could not be written, and would call the next fsync a success.
  void sync(const RunProgress& progress, std::optional<int> exit_code) {
    if (progress.num_bytes == synced_bytes_ && !exit_code) return;
    has_sync_failed_ = true;
    if (fsync(file_.get()) != 0) give_up_rows_not_synced(errno);
    expect_still_there();  // or it would be another run's state
    write_state(progress, exit_code);
    has_sync_failed_ = false;
    synced_bytes_ = progress.num_bytes;
  }

  // What the kernel has dropped can still be read for a while: resuming must not take it for rows of the disk.
  [[noreturn]] void give_up_rows_not_synced(int error_number) {
    const Error error = file_error(partial(), "cannot be written", error_number);
    const std::lock_guard lock(mutex_);
    background_error_ = std::make_exception_ptr(error);  // no row comes behind the gap
    [[maybe_unused]] const int ignored = ftruncate(file_.get(), synced_bytes_);
    throw error;
  }

  void sync_now_and_then() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, sync_interval_, [this] { return is_ending_; })) {
      const RunProgress progress = written_;
      lock.unlock();
      std::exception_ptr error;
      try {
        sync(progress, std::nullopt);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error) {
        background_error_ = error;
        return;
      }
    }
  }

  void stop_syncing() {
    if (!syncing_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      is_ending_ = true;
    }
    wake_.notify_all();
    syncing_.join();
    if (background_error_) std::rethrow_exception(std::exchange(background_error_, nullptr));
  }

  const std::string path_;
  const IfThere if_there_;
  const std::chrono::milliseconds sync_interval_;
  RunState state_;
  Descriptor file_;
  std::thread syncing_;
  std::condition_variable wake_;
  std::mutex mutex_;
  // Guarded by mutex_ while syncing_ runs:
  RunProgress written_;
  bool is_ending_ = false;
  std::exception_ptr background_error_;
  // Of the thread that syncs, then of whoever has joined it:
  int64_t synced_bytes_ = 0;
  bool has_sync_failed_ = false;
  // Of the thread that writes:
  Sha256 rows_sha256_;       // of written_
  int64_t there_bytes_ = 0;  // of whole rows in F.partial; more than written_ as long as rows are compared
};

OutputFile::OutputFile(std::string path, IfThere if_there, const RunState& now, std::chrono::milliseconds sync_interval)
    : impl_(std::make_unique<Impl>(std::move(path), if_there, now, sync_interval)) {}
OutputFile::~OutputFile() = default;

std::vector<std::string> OutputFile::names_of(const std::string& path) {
  return {path, path + ".partial", path + ".partial.new", path + ".state", path + ".state.new"};
}

bool OutputFile::is_complete() const { return impl_->is_complete(); }
const RunProgress& OutputFile::answered() const { return impl_->answered; }
int64_t OutputFile::num_rows_there() const { return impl_->num_rows_there; }
const std::string& OutputFile::warning() const { return impl_->warning; }
void OutputFile::begin(int64_t num_lines, const std::string& input_sha256) { impl_->begin(num_lines, input_sha256); }
void OutputFile::write(std::string_view row, const RunCounts& counts, const std::string& input_sha256) {
  impl_->write(row, counts, input_sha256);
}
void OutputFile::close() { impl_->close(); }
void OutputFile::finish(const RunCounts& counts, int exit_code, const InputSummary& input) {
  impl_->finish(counts, exit_code, input);
}
int OutputFile::complete() { return impl_->complete(); }

}  // namespace prm_score
