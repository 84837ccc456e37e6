#include "prm_score/io/report_statistics.h"

#include <algorithm>
#include <cmath>

#include "prm_score/io/rank_statistics.h"

namespace prm_score {
namespace {

constexpr int kMaxHistogramBins = 50, kMaxLengthBins = 20, kMinDocumentsOfBin = 5, kMaxPositionBins = 60;

// The next larger of .., 0.5, 1, 2, 5, 10, ..; `value` > 0.
double round_up(double value) {
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= value) return factor * power;
  }
  return 10 * power;
}

// `part`: (tokens, reward) of some documents, at least one, shortest first.
LengthBin length_bin(const std::vector<std::pair<double, double>>& part) {
  std::vector<double> rewards, lengths;
  for (const auto& [length, reward] : part) {
    lengths.push_back(length);
    rewards.push_back(reward);
  }
  std::sort(rewards.begin(), rewards.end());
  return {.min_tokens = std::lround(lengths.front()),
          .max_tokens = std::lround(lengths.back()),
          .median_tokens = quantile(lengths, 0.5),
          .quarter = quantile(rewards, 0.25),
          .median = quantile(rewards, 0.5),
          .three_quarters = quantile(rewards, 0.75),
          .count = static_cast<int64_t>(part.size())};
}

}  // namespace

void RunningMoments::add(double value) {
  ++count;
  const double distance = value - mean;
  mean += distance / static_cast<double>(count);
  squares += distance * (value - mean);
}

void RunningMoments::add(const RunningMoments& other) {
  if (other.count == 0) return;
  const auto total = static_cast<double>(count + other.count);
  const double distance = other.mean - mean;
  squares +=
      other.squares + distance * distance * static_cast<double>(count) * static_cast<double>(other.count) / total;
  mean += distance * static_cast<double>(other.count) / total;
  count += other.count;
}

double RunningMoments::standard_deviation() const {
  return count < 2 ? 0 : std::sqrt(squares / static_cast<double>(count));
}

Histogram make_histogram(const std::vector<double>& values) {
  Histogram histogram;
  if (values.empty()) return histogram;
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  // What is all but one number gets one bin.
  const double range = std::max(*max - *min, std::max({std::abs(*min), std::abs(*max), 1e-30}) * 1e-9);
  histogram.width = round_up(range / (kMaxHistogramBins - 1));
  histogram.begin = std::floor(*min / histogram.width) * histogram.width;
  for (const double value : values) {
    const auto bin = static_cast<size_t>(std::max(0.0, std::floor((value - histogram.begin) / histogram.width)));
    const size_t kept = std::min(bin, size_t{kMaxHistogramBins - 1});
    if (kept >= histogram.counts.size()) histogram.counts.resize(kept + 1);
    ++histogram.counts[kept];
  }
  return histogram;
}

void ReportStatistics::add(const DocumentReward& row) {
  if (!row.reward) {
    ++counts_.num_bad_rows;
    return;
  }
  ++counts_.num_scored_rows;
  counts_.add(row);
  moments_.add(*row.reward);
  rewards_.push_back(*row.reward);
  lengths_.push_back(static_cast<double>(row.num_tokens));
  if (row.log_odds.size() > positions_.size()) positions_.resize(row.log_odds.size());
  for (size_t i = 0; i < row.log_odds.size(); ++i) {
    if (row.log_odds[i]) positions_[i].add(*row.log_odds[i]);
  }
}

std::vector<LengthBin> ReportStatistics::lengths() const {
  std::vector<std::pair<double, double>> documents;
  for (size_t i = 0; i < rewards_.size(); ++i) documents.emplace_back(lengths_[i], rewards_[i]);
  std::sort(documents.begin(), documents.end());
  const size_t size = std::max(size_t{kMinDocumentsOfBin}, (documents.size() + kMaxLengthBins - 1) / kMaxLengthBins);
  std::vector<LengthBin> bins;
  for (auto begin = documents.begin(); begin != documents.end();) {
    auto end = begin + std::min(static_cast<std::ptrdiff_t>(size), documents.end() - begin);
    while (end != documents.end() && end->first == std::prev(end)->first) ++end;
    if (documents.end() - end < kMinDocumentsOfBin) end = documents.end();
    bins.push_back(length_bin({begin, end}));
    begin = end;
  }
  return bins;
}

std::vector<PositionBin> ReportStatistics::positions() const {
  const int64_t fewest = std::max<int64_t>(1, (counts_.num_scored_rows + 99) / 100);
  size_t num_kept = positions_.size();
  while (num_kept > 0 && positions_[num_kept - 1].count < fewest) --num_kept;
  const size_t width = std::max(size_t{1}, (num_kept + kMaxPositionBins - 1) / kMaxPositionBins);
  std::vector<PositionBin> bins;
  for (size_t first = 0; first < num_kept; first += width) {
    PositionBin& bin = bins.emplace_back();
    bin.first = static_cast<int64_t>(first);
    bin.last = static_cast<int64_t>(std::min(first + width, num_kept)) - 1;
    for (auto i = bin.first; i <= bin.last; ++i) bin.log_odds.add(positions_[static_cast<size_t>(i)]);
  }
  return bins;
}

}  // namespace prm_score
