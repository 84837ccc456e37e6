// rank_statistics.h - statistics of numbers by their order.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace prm_score {

// Of sorted values, at least one: linear between the two that are nearest; `fraction` in [0, 1].
[[nodiscard]] double quantile(const std::vector<double>& sorted, double fraction);

// Spearman's rank correlation, ties at their mean rank; in [-1, 1]; nullopt where it is not defined: one of
// them is the same everywhere. Both of the same size.
[[nodiscard]] std::optional<double> rank_correlation(const std::vector<double>& a, const std::vector<double>& b);

// Pairs of places that `a` orders one way and `b` the other (Kendall's discordant pairs); a tie in either is none of
// them. Both of the same size. n log n.
[[nodiscard]] int64_t num_discordant_pairs(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace prm_score
