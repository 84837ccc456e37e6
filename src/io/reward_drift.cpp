#include "prm_score/io/reward_drift.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include "prm_score/io/rank_statistics.h"
#include "prm_score/io/report_statistics.h"

namespace prm_score {
RewardDrift reward_drift(std::span<const RewardPair> documents) {
  std::vector<double> there, now, differences;
  RunningMoments rewards, distances;
  for (const RewardPair& document : documents) {
    there.push_back(document.there);
    now.push_back(document.now);
    differences.push_back(std::abs(document.now - document.there));
    rewards.add(there.back());
    distances.add(differences.back());
  }
  const auto largest = std::max_element(differences.begin(), differences.end());
  RewardDrift drift;
  drift.num_documents = std::ssize(documents);
  drift.standard_deviation = rewards.standard_deviation();
  drift.mean = distances.mean;
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
