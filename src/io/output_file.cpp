#include "prm_score/io/output_file.h"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
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

namespace prm_score {
namespace {

namespace fs = std::filesystem;

constexpr auto kSyncInterval = std::chrono::seconds(2);

Error file_error(const std::string& path, const char* what, int error_number) {
  return Error(path + ": " + what + ": " + std::generic_category().message(error_number));
}

bool is_there(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT) return false;
  throw file_error(path, "cannot be looked at", errno);
}

std::string read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw file_error(path, "cannot be read", errno);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) throw Error(path + ": cannot be read");
  return bytes;
}

void remove_file(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) throw file_error(path, "cannot be removed", errno);
}

void rename_file(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) throw file_error(to, "cannot be made by renaming", errno);
  sync_folder_of(to);
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
  Descriptor file(open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | flags, 0666));
  if (!file.is_open()) throw file_error(path, "cannot be written", errno);
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) throw Error(path + ": another process is writing it");
    throw file_error(path, "cannot be locked", errno);
  }
  return file;
}

using Json = nlohmann::json;

void count_scored_row(const Json& row, RunCounts& counts) {
  ++counts.num_scored_rows;
  counts.num_tokens += row.at("num_tokens").get<int64_t>();
  for (const Json& log_odds : row.at("log_odds")) counts.num_chunks += log_odds.is_null() ? 0 : 1;
  for (const Json& warning : row.value("warnings", Json::array())) {
    counts.num_special_tokens += warning == "special_tokens" ? 1 : 0;
    counts.num_template_markers += warning == "template_markers" ? 1 : 0;
    counts.num_context_cut += warning == "context_cut" ? 1 : 0;
  }
}

// A row of ours, counted; nullopt if the line is none.
std::optional<AnsweredLine> read_row(std::string_view line, RunCounts& counts) {
  try {
    const Json row = Json::parse(line);
    AnsweredLine answered;
    answered.line = row.at("line").get<int64_t>();
    answered.file = row.value("file", "");
    if (row.contains("id")) answered.id_json = row["id"].dump();
    if (row.at("reward").is_null()) {
      ++counts.num_bad_rows;
    } else {
      count_scored_row(row, counts);
    }
    return answered;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

class OutputFile::Impl {
 public:
  Impl(std::string path, IfThere if_there, const RunState& now)
      : path_(std::move(path)), if_there_(if_there), state_(now) {
    check_replaceable(path_);
    expect_regular_file();
    if (if_there_ == IfThere::kResume) {
      look_for_earlier_run(now);
    } else if (if_there_ == IfThere::kRefuse) {
      for (const std::string& file : {path_, partial()}) {
        if (is_there(file)) {
          throw Error(file + ": already there; --resume goes on with it, --overwrite begins again");
        }
      }
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
    if (ftruncate(file_.get(), answered_.num_bytes) != 0) throw file_error(partial(), "cannot be written", errno);
    written_ = answered_;
    written_.counts.num_lines = num_lines;
    written_.input_sha256 = input_sha256;
    synced_bytes_ = surely_there_.num_bytes;
    syncing_ = std::thread([this] { sync_now_and_then(); });
  }

  void write(std::string_view row, const RunCounts& counts, const std::string& input_sha256) {
    const std::lock_guard lock(mutex_);
    if (background_error_) std::rethrow_exception(std::exchange(background_error_, nullptr));
    write_whole(row);
    written_.num_bytes += static_cast<int64_t>(row.size());
    written_.counts = counts;
    written_.input_sha256 = input_sha256;
  }

  void close() {
    stop_syncing();
    if (!file_.is_open()) return;
    sync(written_, std::nullopt);
    file_.reset();
  }

  void finish(const RunCounts& counts, int exit_code) {
    stop_syncing();
    written_.counts = counts;
    sync(written_, exit_code);
    rename_file(partial(), path_);
    file_.reset();
  }

  int complete() {
    if (file_.is_open()) {
      if (ftruncate(file_.get(), answered_.num_bytes) != 0) throw file_error(partial(), "cannot be written", errno);
      rename_file(partial(), path_);
      file_.reset();
    }
    return *state_.exit_code;
  }

  [[nodiscard]] bool is_complete() const { return state_.exit_code.has_value(); }

  RunProgress answered_, surely_there_;
  std::vector<AnsweredLine> since_then_;
  std::string warning_;

 private:
  [[nodiscard]] std::string partial() const { return path_ + ".partial"; }
  [[nodiscard]] std::string state_file() const { return path_ + ".state"; }

  void expect_regular_file() const {
    struct stat status {};
    if (stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
      throw Error(path_ + ": --output: expected the name of a regular file, found something else");
    }
  }

  void look_for_earlier_run(const RunState& now) {
    const bool has_output = is_there(path_), has_partial = is_there(partial());
    if (!is_there(state_file())) {
      if (!has_output && !has_partial) return;
      throw Error(state_file() + ": expected the state of the run that wrote " + (has_output ? path_ : partial()) +
                  ", found no such file");
    }
    if (!has_output && !has_partial) return;  // killed before the first row, or moved away: a fresh start
    const RunState there = parse_run_state(read_whole(state_file()), state_file());
    if (const auto text = differences(there.fingerprint, now.fingerprint); !text.empty()) {
      throw Error(path_ + ": --resume: expected the run that began it, found another: " + text);
    }
    if (has_output && has_partial) {
      throw Error(path_ + ": expected it or " + partial() + ", found both");
    }
    if (has_output && !there.exit_code) {
      throw Error(path_ + ": expected a complete output, as it has its name, found the state of an incomplete one");
    }
    warning_ = differences(there.recorded, now.recorded);
    state_.exit_code = there.exit_code;
    surely_there_ = answered_ = there.progress;
    if (has_output) {
      expect_size(path_, /*may_be_longer=*/false);
    } else {
      expect_size(partial(), /*may_be_longer=*/true);
      open_earlier_rows();
    }
  }

  void expect_size(const std::string& rows, bool may_be_longer) const {
    std::error_code error;
    const auto num_bytes = fs::file_size(rows, error);
    if (error) throw Error(rows + ": cannot be read: " + error.message());
    const auto expected = static_cast<uint64_t>(surely_there_.num_bytes);
    if (may_be_longer ? num_bytes >= expected : num_bytes == expected) return;
    throw Error(rows + ": expected " + (may_be_longer ? "at least " : "") + std::to_string(expected) +
                " bytes, as its state says, found " + std::to_string(num_bytes));
  }

  void open_earlier_rows() {
    file_ = open_locked(partial(), 0);
    struct stat opened {
    }, named{};
    if (fstat(file_.get(), &opened) != 0 || stat(partial().c_str(), &named) != 0 || opened.st_ino != named.st_ino) {
      throw Error(partial() + ": another process has just finished it");
    }
    if (is_complete()) return;
    const std::string rows = read_whole(partial());
    size_t begin = static_cast<size_t>(surely_there_.num_bytes);
    for (size_t end = rows.find('\n', begin); end != std::string::npos; end = rows.find('\n', begin)) {
      auto row = read_row(std::string_view(rows).substr(begin, end - begin), answered_.counts);
      if (!row) break;  // not written by us, or lost with the power: it was not on the disk yet
      since_then_.push_back(*std::move(row));
      begin = end + 1;
    }
    answered_.num_bytes = static_cast<int64_t>(begin);
  }

  void begin_afresh() {
    if (if_there_ == IfThere::kOverwrite) {
      if (is_there(partial())) static_cast<void>(open_locked(partial(), 0));
      for (const std::string& file : {path_, partial(), state_file()}) remove_file(file);
    }
    // Locked under another name: of two processes that begin at once one alone gets to rename it.
    const std::string beside = partial() + ".new";
    file_ = open_locked(beside, O_CREAT);
    if (is_there(path_) || is_there(partial())) {
      remove_file(beside);
      throw Error(path_ + ": another process has just begun it");
    }
    if (ftruncate(file_.get(), 0) != 0) throw file_error(beside, "cannot be written", errno);
    state_.exit_code.reset();
    write_state({}, std::nullopt);
    rename_file(beside, partial());
  }

  void write_whole(std::string_view row) {
    while (!row.empty()) {
      const ssize_t num_written = ::write(file_.get(), row.data(), row.size());
      if (num_written >= 0) {
        row.remove_prefix(static_cast<size_t>(num_written));
      } else if (errno != EINTR) {
        const int error_number = errno;
        // A row is whole or not there; if not even that can be done, resuming drops the rest of it.
        [[maybe_unused]] const int ignored = ftruncate(file_.get(), written_.num_bytes);
        throw file_error(partial(), "cannot be written", error_number);
      }
    }
  }

  void write_state(const RunProgress& progress, std::optional<int> exit_code) {
    RunState state = state_;
    state.progress = progress;
    state.exit_code = exit_code;
    replace_file(state_file(), state_file() + ".new", format_run_state(state));
    sync_folder_of(state_file());
  }

  // The rows first: the state never says more than is there.
  void sync(const RunProgress& progress, std::optional<int> exit_code) {
    if (progress.num_bytes == synced_bytes_ && !exit_code) return;
    if (fsync(file_.get()) != 0) throw file_error(partial(), "cannot be written", errno);
    write_state(progress, exit_code);
    synced_bytes_ = progress.num_bytes;
  }

  void sync_now_and_then() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kSyncInterval, [this] { return is_ending_; })) {
      const RunProgress progress = written_;
      lock.unlock();
      std::exception_ptr error;
      try {
        sync(progress, std::nullopt);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error) background_error_ = error;
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
  RunState state_;
  Descriptor file_;
  std::thread syncing_;
  std::condition_variable wake_;
  std::mutex mutex_;
  // Guarded by mutex_ while syncing_ runs:
  RunProgress written_;
  bool is_ending_ = false;
  std::exception_ptr background_error_;
  int64_t synced_bytes_ = 0;  // of the thread that syncs
};

OutputFile::OutputFile(std::string path, IfThere if_there, const RunState& now)
    : impl_(std::make_unique<Impl>(std::move(path), if_there, now)) {}
OutputFile::~OutputFile() = default;

bool OutputFile::is_complete() const { return impl_->is_complete(); }
const RunProgress& OutputFile::answered() const { return impl_->answered_; }
const RunProgress& OutputFile::surely_there() const { return impl_->surely_there_; }
const std::vector<AnsweredLine>& OutputFile::since_then() const { return impl_->since_then_; }
const std::string& OutputFile::warning() const { return impl_->warning_; }
void OutputFile::begin(int64_t num_lines, const std::string& input_sha256) { impl_->begin(num_lines, input_sha256); }
void OutputFile::write(std::string_view row, const RunCounts& counts, const std::string& input_sha256) {
  impl_->write(row, counts, input_sha256);
}
void OutputFile::close() { impl_->close(); }
void OutputFile::finish(const RunCounts& counts, int exit_code) { impl_->finish(counts, exit_code); }
int OutputFile::complete() { return impl_->complete(); }

}  // namespace prm_score
