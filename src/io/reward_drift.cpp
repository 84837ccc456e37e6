#include "prm_score/io/reward_drift.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <vector>

#include "prm_score/io/rank_statistics.h"

namespace prm_score {
namespace {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_deviation(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

}  // namespace

RewardDrift reward_drift(std::span<const RewardPair> documents) {
  std::vector<double> there, now, differences;
  for (const RewardPair& document : documents) {
    there.push_back(document.there);
    now.push_back(document.now);
    differences.push_back(std::abs(document.now - document.there));
  }
  const auto largest = std::max_element(differences.begin(), differences.end());
  RewardDrift drift;
  drift.num_documents = std::ssize(documents);
  drift.standard_deviation = standard_deviation(there);
  drift.mean = mean_of(differences);
  drift.largest = *largest;
  drift.farthest = documents[largest - differences.begin()];
  drift.rank_correlation = rank_correlation(there, now);
  drift.num_flips = num_discordant_pairs(there, now);
  std::sort(differences.begin(), differences.end());
  drift.percentile_99 = quantile(differences, 0.99);
  return drift;
}

DriftResult drift_result(std::span<const RewardPair> documents) {
  DriftResult result;
  if (!documents.empty()) result.all = reward_drift(documents);
  std::vector<RewardPair> longer;
  std::copy_if(documents.begin(), documents.end(), std::back_inserter(longer),
               [](const RewardPair& document) { return document.num_chunks >= DriftResult::kLongerChunks; });
  if (!longer.empty()) result.longer = reward_drift(longer);
  return result;
}

}  // namespace prm_score
