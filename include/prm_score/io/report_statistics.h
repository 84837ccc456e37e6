// report_statistics.h - what a report says of all rows together: rewards, and rewards against length and position.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "prm_score/io/metadata.h"
#include "prm_score/io/rank_statistics.h"
#include "prm_score/text/document.h"

namespace prm_score {

// Mean and spread of numbers that come one by one (Welford 1962): exact enough for any number of them.
struct RunningMoments {
  int64_t count = 0;
  double mean = 0;
  double squares = 0;  // sum of squared distances from the mean

  void add(double value);
  void add(const RunningMoments& other);

  // Of the numbers as a whole population; 0 of fewer than two.
  [[nodiscard]] double standard_deviation() const;
};

// Bin i has the values in [begin + i width, begin + (i + 1) width), the last also what equals its end.
struct Histogram {
  double begin = 0, width = 1;
  std::vector<int64_t> counts;
};

// Bins of a round width (1, 2 or 5 times a power of ten) whose borders are multiples of it, at most 50; none for no
// values. Values are of float32's range.
[[nodiscard]] Histogram make_histogram(const std::vector<double>& values);

// Documents of similar length: quartiles of their rewards.
struct LengthBin {
  int64_t min_tokens = 0, max_tokens = 0;
  double median_tokens = 0;
  double quarter = 0, median = 0, three_quarters = 0;
  int64_t count = 0;
};

// Chunks first .. last of their documents, 0-based.
struct PositionBin {
  int64_t first = 0, last = 0;
  RunningMoments log_odds;
};

// Of the rows added. Keeps two numbers for each, and three for each chunk position. Not thread-safe.
class ReportStatistics {
 public:
  void add(const DocumentReward& row);

  [[nodiscard]] const RunCounts& counts() const { return counts_; }  // without lines
  [[nodiscard]] const RunningMoments& moments() const { return moments_; }
  [[nodiscard]] const std::vector<double>& rewards() const { return rewards_; }  // in the order of the rows

  // Of rewards and numbers of tokens.
  [[nodiscard]] std::optional<double> length_correlation() const { return rank_correlation(lengths_, rewards_); }

  // At most 20 of about equal counts, five or more each, shortest first; documents of one length are in one bin.
  [[nodiscard]] std::vector<LengthBin> lengths() const;

  // At most 60 of equal width. Positions that fewer than one document in a hundred reaches are left out; and
  // num_positions() counts those too.
  [[nodiscard]] std::vector<PositionBin> positions() const;
  [[nodiscard]] int64_t num_positions() const { return static_cast<int64_t>(positions_.size()); }

 private:
  RunCounts counts_;
  RunningMoments moments_;
  std::vector<double> rewards_, lengths_;  // of the scored rows, in their order
  std::vector<RunningMoments> positions_;  // of the log-odds of chunk i
};

}  // namespace prm_score
