#include "prm_score/io/rank_statistics.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <utility>

namespace prm_score {
namespace {

// From 1; of equal values each gets the mean.
std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = (static_cast<double>(begin + end) + 1) / 2;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
  }
  return ranks;
}

// Places i < j of [begin, end) with values[i] > values[j]. Sorts them, by merging.
int64_t num_inversions(std::vector<double>& values, std::vector<double>& scratch, size_t begin, size_t end) {
  if (end - begin < 2) return 0;
  const size_t middle = begin + (end - begin) / 2;
  int64_t count = num_inversions(values, scratch, begin, middle) + num_inversions(values, scratch, middle, end);
  size_t left = begin, right = middle, out = begin;
  while (left < middle && right < end) {
    const bool is_inverted = values[right] < values[left];
    if (is_inverted) count += static_cast<int64_t>(middle - left);
    scratch[out++] = is_inverted ? values[right++] : values[left++];
  }
  while (left < middle) scratch[out++] = values[left++];
  while (right < end) scratch[out++] = values[right++];
  std::copy(scratch.begin() + static_cast<std::ptrdiff_t>(begin), scratch.begin() + static_cast<std::ptrdiff_t>(end),
            values.begin() + static_cast<std::ptrdiff_t>(begin));
  return count;
}

}  // namespace

double quantile(const std::vector<double>& sorted, double fraction) {
  const double place = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

std::optional<double> rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto ranks_a = ranks_of(a), ranks_b = ranks_of(b);
  const double mean = (static_cast<double>(a.size()) + 1) / 2;
  double squares_a = 0, squares_b = 0, products = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    squares_a += (ranks_a[i] - mean) * (ranks_a[i] - mean);
    squares_b += (ranks_b[i] - mean) * (ranks_b[i] - mean);
    products += (ranks_a[i] - mean) * (ranks_b[i] - mean);
  }
  if (squares_a == 0 || squares_b == 0) return std::nullopt;
  return std::clamp(products / std::sqrt(squares_a * squares_b), -1.0, 1.0);
}

int64_t num_discordant_pairs(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<std::pair<double, double>> pairs(a.size());
  for (size_t i = 0; i < a.size(); ++i) pairs[i] = {a[i], b[i]};
  std::sort(pairs.begin(), pairs.end());  // where `a` ties, `b` rises: no inversion
  std::vector<double> values(a.size()), scratch(a.size());
  std::transform(pairs.begin(), pairs.end(), values.begin(), [](const auto& pair) { return pair.second; });
  return num_inversions(values, scratch, 0, values.size());
}

}  // namespace prm_score
