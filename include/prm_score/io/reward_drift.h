// reward_drift.h - how far the rewards of one precision are from those of another, on the same documents.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace prm_score {

// A document that both could score.
struct RewardPair {
  std::string place;  // of its line: "4", "a.jsonl:4"
  std::string id_json;
  int64_t num_chunks = 0;
  double there = 0, now = 0;  // its rewards
};

// Of some documents, at least one; differences are |now - there|.
struct RewardDrift {
  int64_t num_documents = 0;
  double standard_deviation = 0;  // of the rewards there; 0 of one document
  double mean = 0, percentile_99 = 0, largest = 0;
  RewardPair farthest;                     // the document of the largest
  std::optional<double> rank_correlation;  // Spearman's; nullopt if either has the same reward everywhere
  int64_t num_flips = 0;                   // pairs of documents whose order is another now

  [[nodiscard]] int64_t num_pairs() const { return num_documents * (num_documents - 1) / 2; }
};

[[nodiscard]] RewardDrift reward_drift(std::span<const RewardPair> documents);

// What `prm-score check --against` found.
struct DriftResult {
  std::string there, now;             // precisions: "float32", "int8"
  std::optional<RewardDrift> all;     // nullopt: no document
  std::optional<RewardDrift> longer;  // of those with at least kLongerChunks chunks
  int64_t num_bad_rows = 0;           // lines without a reward here or there

  static constexpr int64_t kLongerChunks = 4;  // a mean of few chunks moves more
};

[[nodiscard]] DriftResult drift_result(std::span<const RewardPair> documents);

}  // namespace prm_score
