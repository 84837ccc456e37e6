#include "prm_score/cli/messages.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <poll.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace prm_score {

namespace {

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

namespace {

// The code point that `text` begins with if it turns the direction of writing, so that text shows in another order than
// it has: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069; otherwise 0.
int direction_mark_at(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  if (byte(0) == 0xD8 && byte(1) == 0x9C) return 0x061C;
  if (byte(0) != 0xE2 || (byte(1) != 0x80 && byte(1) != 0x81)) return 0;
  const int code = 0x2000 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  const bool turns = code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E);
  return turns || (code >= 0x2066 && code <= 0x2069) ? code : 0;
}

}  // namespace

std::string printable(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (const int mark = direction_mark_at(text.substr(i)); mark != 0) {
      std::array<char, 8> digits = {};
      std::snprintf(digits.data(), digits.size(), "\\u%04x", static_cast<unsigned>(mark));
      result += digits.data();
      i += mark < 0x800 ? 1 : 2;
      continue;
    }
    const bool is_c1 = byte == 0xC2 && next >= 0x80 && next < 0xA0;  // U+0080 to U+009F
    if (byte >= 0x20 && byte != 0x7F && !is_c1) {
      result += text[i];
      continue;
    }
    const unsigned char code = is_c1 ? next : byte;
    result += {'\\', 'x', kDigits[code / 16], kDigits[code % 16]};
    i += is_c1 ? 1 : 0;
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
