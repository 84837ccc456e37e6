#include "prm_score/cli/messages.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <poll.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "prm_score/text/unicode.h"

namespace prm_score {

namespace {

// U+0000 to U+001F, U+007F to U+009F.
bool is_control(char32_t code_point) { return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0); }

// Text behind such a mark shows in another order than it has.
bool turns_direction(char32_t code_point) {
  const auto is_within = [&](char32_t first, char32_t last) { return code_point >= first && code_point <= last; };
  return code_point == 0x061C || is_within(0x200E, 0x200F) || is_within(0x202A, 0x202E) || is_within(0x2066, 0x2069);
}

std::string with_digits(const char* format, char32_t code_point) {
  std::array<char, 16> text = {};
  std::snprintf(text.data(), text.size(), format, static_cast<unsigned>(code_point));
  return text.data();
}

constexpr std::string_view kErase = "\r\x1b[K";  // to the line's beginning, and what is behind it

bool is_writable(int timeout_ms) {
  pollfd waited = {STDERR_FILENO, POLLOUT, 0};
  return poll(&waited, 1, timeout_ms) > 0 && (waited.revents & POLLOUT) != 0;
}

void write_to_standard_error(std::string_view text) {
  constexpr int kPatienceMs = 1000;
  while (!text.empty()) {
    const ssize_t num_written = write(STDERR_FILENO, text.data(), text.size());
    if (num_written >= 0) {
      text.remove_prefix(static_cast<size_t>(num_written));
    } else if (errno != EINTR && (errno != EAGAIN || !is_writable(kPatienceMs))) {
      return;  // nobody is left to tell
    }
  }
}

// One thread at a time; each call is one write, so that others who write to the terminal come between two of them.
class StandardError {
 public:
  // `lines`: whole ones.
  void print(std::string_view lines) {
    const std::lock_guard lock(mutex_);
    std::string text(status_.empty() ? "" : kErase);
    text.append(lines).append(status_);
    write_to_standard_error(text);
  }

  void set_status(std::string_view line) {
    const std::lock_guard lock(mutex_);
    if (line.empty() && status_.empty()) return;
    if (!line.empty() && !is_writable(0)) return;
    status_ = line;
    has_status_ = !line.empty();
    write_to_standard_error(line.empty() ? std::string(kErase) : "\r" + status_ + std::string(kErase.substr(1)));
  }

  [[nodiscard]] bool has_status() const { return has_status_; }

 private:
  std::mutex mutex_;
  std::string status_;
  std::atomic<bool> has_status_ = false;
};

StandardError standard_error;

class StandardErrorSink final : public spdlog::sinks::base_sink<std::mutex> {
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    standard_error.print({line.data(), line.size()});
  }
  void flush_() override {}
};

// Of a message, for spdlog's patterns.
class PrintableMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/, spdlog::memory_buf_t& line) override {
    const std::string text = printable({message.payload.data(), message.payload.size()});
    line.append(text.data(), text.data() + text.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<PrintableMessage>();
  }
};

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  for (size_t offset = 0; offset < text.size();) {
    const auto [code_point, num_bytes, is_valid] = decode_code_point(text, offset);
    if (is_valid && is_control(code_point)) {
      result += with_digits("\\x%02x", code_point);
    } else if (is_valid && turns_direction(code_point)) {
      result += with_digits("\\u%04x", code_point);
    } else {
      result += text.substr(offset, num_bytes);
    }
    offset += num_bytes;
  }
  return result;
}

void set_up_logging(const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>("prm-score", std::make_shared<StandardErrorSink>());
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<PrintableMessage>('*').set_pattern("%n: %*");
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

void print_warning(const std::string& message) { spdlog::warn("{}", printable(message)); }

void print_error(std::string_view message) {
  std::string line(message);
  std::replace(line.begin(), line.end(), '\n', ' ');
  line = "prm-score: " + printable(line) + "\n";
  standard_error.print(line);
}

void show_status_line(std::string_view line) { standard_error.set_status(line); }

void erase_status_line_in_handler() {
  if (standard_error.has_status()) [[maybe_unused]]
    const auto ignored = write(STDERR_FILENO, kErase.data(), kErase.size());
}

bool can_print_at_once() { return is_writable(0); }

}  // namespace prm_score
