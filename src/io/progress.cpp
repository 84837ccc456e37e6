#include "prm_score/io/progress.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "prm_score/text/counted.h"

namespace prm_score {
namespace {

using std::chrono::seconds;

constexpr seconds kWindow{20};     // that rates are taken over
constexpr seconds kPatience{10};   // rows come in bursts: so long a pause slows no rate down
constexpr seconds kLeastKnown{3};  // less than this says nothing

double seconds_between(ProgressTime begin, ProgressTime end) {
  return std::chrono::duration<double>(end - begin).count();
}

std::string with_digits(double number, int num_digits) {
  std::array<char, 64> text = {};
  std::snprintf(text.data(), text.size(), "%.*f", num_digits, number);
  return text.data();
}

// "1:23", "12:34:56"
std::string clock_text(double num_seconds) {
  const auto whole = static_cast<int64_t>(num_seconds);
  std::array<char, 64> text = {};
  const int64_t hours = whole / 3600;
  const auto minutes = static_cast<int>(whole / 60 % 60), rest = static_cast<int>(whole % 60);
  if (hours > 0) {
    std::snprintf(text.data(), text.size(), "%lld:%02d:%02d", static_cast<long long>(hours), minutes, rest);
  } else {
    std::snprintf(text.data(), text.size(), "%d:%02d", minutes, rest);
  }
  return text.data();
}

std::string rate_text(std::optional<double> rate, const char* unit) {
  return (rate ? with_digits(*rate, *rate < 9.95 ? 1 : 0) : "-") + unit;
}

constexpr char kUnknownTime[] = "--:--";
constexpr double kLongestShown = 1000.0 * 3600;  // longer than a run takes: an estimate from too little

std::optional<double> part_of(int64_t done, std::optional<int64_t> total) {
  if (!total || *total <= 0) return std::nullopt;
  return std::min(1.0, static_cast<double>(done) / static_cast<double>(*total));
}

}  // namespace

ProgressMeter::ProgressMeter(InputSize size, const ProgressCounts& begin, ProgressTime start)
    : size_(size), start_(start), samples_{{start, begin}} {}

void ProgressMeter::update(const ProgressCounts& counts, ProgressTime now) {
  if (counts == samples_.back().counts) return;
  samples_.push_back({now, counts});
  while (samples_.size() > 2 && samples_[1].time <= now - kWindow - kPatience) samples_.pop_front();
}

// 0 to 1; nullopt if nothing is known of the end.
std::optional<double> ProgressMeter::part_done(const ProgressCounts& counts) const {
  return std::max(part_of(counts.num_input_bytes, size_.num_bytes),
                  part_of(counts.counts.num_lines, size_.num_lines));  // nothing known is less than any part
}

bool ProgressMeter::is_limit_nearer(const ProgressCounts& counts) const {
  const auto lines = part_of(counts.counts.num_lines, size_.num_lines);
  return lines && lines >= part_of(counts.num_input_bytes, size_.num_bytes);
}

std::optional<ProgressMeter::Rates> ProgressMeter::rates(ProgressTime now) const {
  if (samples_.size() < 2) return std::nullopt;
  const Sample& last = samples_.back();
  ProgressTime end = std::max(last.time, now - kPatience);
  auto base = samples_.end() - 2;
  while (base != samples_.begin() && base->time > end - kWindow) --base;
  end = std::max(end, base->time + kLeastKnown);
  if (end > now) return std::nullopt;
  const double num_seconds = seconds_between(base->time, end);
  const auto rate = [&](int64_t before, int64_t after) { return static_cast<double>(after - before) / num_seconds; };
  const auto parts = part_done(last.counts).value_or(0) - part_done(base->counts).value_or(0);
  return Rates{.chunks = rate(base->counts.counts.num_chunks, last.counts.counts.num_chunks),
               .tokens = rate(base->counts.counts.num_tokens, last.counts.counts.num_tokens),
               .parts = parts / num_seconds,
               .age_s = seconds_between(end, now)};
}

// "0:10, 1:23 left"
std::string ProgressMeter::time_text(ProgressTime now) const {
  std::string text = clock_text(seconds_between(start_, now));
  const auto done = part_done(samples_.back().counts);
  if (!done) return text;
  const auto found = rates(now);
  if (!found || found->parts <= 0) return text + ", " + kUnknownTime + " left";
  const double left = std::max(0.0, (1 - *done) / found->parts - found->age_s);
  return text + ", " + (left < kLongestShown ? clock_text(std::round(left)) : kUnknownTime) + " left";
}

// "12.3 of 45.6 MB", "12.3 MB": where --limit is the end, the size of all is not.
std::string ProgressMeter::bytes_text() const {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  const int64_t done = samples_.back().counts.num_input_bytes;
  const auto total = is_limit_nearer(samples_.back().counts) ? std::nullopt : size_.num_bytes;
  double unit_bytes = 1;
  size_t unit = 0;
  while (static_cast<double>(total.value_or(done)) >= 999.5 * unit_bytes && unit + 1 < std::size(kUnits)) {
    unit_bytes *= 1000;
    ++unit;
  }
  const auto number = [&](int64_t bytes) {
    return with_digits(static_cast<double>(bytes) / unit_bytes, unit == 0 ? 0 : 1);
  };
  return number(done) + (total ? " of " + number(*total) : "") + " " + kUnits[unit];
}

std::vector<std::string> ProgressMeter::facts(ProgressTime now) const {
  const RunCounts& counts = samples_.back().counts.counts;
  const auto found = rates(now);
  std::vector<std::string> facts = {time_text(now)};
  facts.push_back(counted(counts.num_scored_rows + counts.num_bad_rows, "row") + " (" +
                  std::to_string(counts.num_bad_rows) + " bad)");
  facts.push_back(rate_text(found ? std::optional(found->chunks) : std::nullopt, " chunks/s"));
  facts.push_back(rate_text(found ? std::optional(found->tokens) : std::nullopt, " tokens/s"));
  facts.push_back(bytes_text());
  return facts;
}

std::string ProgressMeter::line(ProgressTime now) const {
  std::string text;
  if (const auto done = part_done(samples_.back().counts)) text = with_digits(std::floor(*done * 100), 0) + " %";
  for (const std::string& fact : facts(now)) text += (text.empty() ? "" : ", ") + fact;
  return text;
}

std::string ProgressMeter::bar(ProgressTime now, size_t width) const {
  constexpr size_t kLeastCells = 5, kMostCells = 30, kFrame = 3;  // "[", "]" and a space
  const auto done = part_done(samples_.back().counts);
  const std::string percent = done ? with_digits(std::floor(*done * 100), 0) + " % " : "";
  std::string rest;
  for (const std::string& fact : facts(now)) {
    const std::string more = rest + (rest.empty() ? "" : ", ") + fact;
    if (percent.size() + more.size() > width) break;
    rest = more;
  }
  const size_t num_columns = percent.size() + kFrame + rest.size();
  std::string cells;
  if (done && num_columns + kLeastCells <= width) {
    const size_t num_cells = std::min(kMostCells, width - num_columns);
    const auto num_full = static_cast<size_t>(*done * static_cast<double>(num_cells));
    cells = std::string(num_full, '=') + (num_full < num_cells ? ">" : "");
    cells = "[" + cells + std::string(num_cells - cells.size(), ' ') + "] ";
  }
  return (percent + cells + rest).substr(0, width);
}

ProgressWatch::ProgressWatch(ProgressMeter meter, Show show, std::chrono::milliseconds interval)
    : interval_(interval), show_(std::move(show)), meter_(std::move(meter)), thread_([this] { show_now_and_then(); }) {}

ProgressWatch::~ProgressWatch() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void ProgressWatch::update(const ProgressCounts& counts) {
  const std::lock_guard lock(mutex_);
  news_ = counts;
}

void ProgressWatch::show_now_and_then() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, interval_, [this] { return is_ending_; })) {
    const auto news = std::exchange(news_, std::nullopt);
    lock.unlock();
    const auto now = std::chrono::steady_clock::now();
    if (news) meter_.update(*news, now);
    show_(meter_, now);
    lock.lock();
  }
}

}  // namespace prm_score
