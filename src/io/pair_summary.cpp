#include "prm_score/io/pair_summary.h"

#include <cmath>

namespace prm_score {

void PairAccuracy::add(double margin) {
  ++num_pairs;
  num_ties += margin == 0 ? 1 : 0;
  num_right += margin > 0 ? 1 : 0;
}

double PairAccuracy::accuracy() const {
  return (static_cast<double>(num_right) + static_cast<double>(num_ties) / 2) / static_cast<double>(num_pairs);
}

std::pair<double, double> PairAccuracy::confidence_interval() const {
  constexpr double kZ = 1.959963984540054;  // quantile of the normal distribution at 0.975
  const double n = static_cast<double>(num_pairs), p = accuracy();
  const double scale = 1 / (1 + kZ * kZ / n);
  const double center = scale * (p + kZ * kZ / (2 * n));
  const double half = scale * kZ * std::sqrt(p * (1 - p) / n + kZ * kZ / (4 * n * n));
  return {center - half, center + half};
}

void PairSummary::add(double margin, const std::string& subset) {
  all.add(margin);
  if (!subset.empty()) subsets[subset].add(margin);
}

void PairSummary::add_bad(const std::string& subset) {
  ++all.num_bad;
  if (!subset.empty()) ++subsets[subset].num_bad;
}

}  // namespace prm_score
