// pair_summary.h - how often a judge prefers what was chosen.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace prm_score {

// Of some pairs. The pair is right if the chosen text has the larger reward; a tie is half right.
struct PairAccuracy {
  int64_t num_pairs = 0;
  int64_t num_ties = 0;
  int64_t num_right = 0;  // without ties
  int64_t num_bad = 0;    // pairs without two rewards: in none of the numbers above

  void add(double margin);

  // In [0, 1], not rounded. 0 pairs: not a number.
  [[nodiscard]] double accuracy() const;

  // 95 % confidence interval of the accuracy: Wilson's score interval (1927), which also holds for few pairs and near
  // 0 and 1. Needs a pair.
  [[nodiscard]] std::pair<double, double> confidence_interval() const;
};

struct PairSummary {
  PairAccuracy all;
  std::map<std::string, PairAccuracy> subsets;  // of the pairs that name one

  void add(double margin, const std::string& subset);

  // `subset`: empty if the line does not say, or is no object.
  void add_bad(const std::string& subset);
};

}  // namespace prm_score
