#include "prm_score/cli/drift_report.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "prm_score/cli/messages.h"
#include "prm_score/io/row_comparison.h"
#include "prm_score/text/counted.h"

namespace prm_score {
namespace {

using Line = std::vector<std::string>;  // a name, and a cell per group of documents

// Two digits, more of large ones: "0.27 %", "120 %".
std::string percent(double part) {
  return part < 1 ? fmt::format("{:.2g} %", 100 * part) : fmt::format("{:.0f} %", 100 * part);
}

// "0.0079 (0.27 %)": of the standard deviation, if there is one.
std::string of_deviation(double difference, double standard_deviation) {
  std::string text = fmt::format("{:.2g}", difference);
  if (standard_deviation > 0) text += " (" + percent(difference / standard_deviation) + ")";
  return text;
}

// Digits enough to tell it from 1.
std::string correlation_text(const std::optional<double>& correlation) {
  return correlation ? fmt::format("{:.5f}", *correlation) : "undefined";
}

std::string flips_text(const RewardDrift& drift) {
  std::string text = fmt::format("{} of {}", drift.num_flips, drift.num_pairs());
  if (drift.num_pairs() == 0) return text;
  text += " (" + percent(static_cast<double>(drift.num_flips) / static_cast<double>(drift.num_pairs())) + ")";
  return text;
}

std::string format_table(const std::vector<Line>& lines) {
  std::vector<size_t> widths(lines.front().size());
  for (const Line& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (const Line& line : lines) {
    text += fmt::format("{:<{}}", line[0], widths[0]);
    for (size_t i = 1; i < line.size(); ++i) text += fmt::format("  {:>{}}", line[i], widths[i]);
    text += "\n";
  }
  return text;
}

}  // namespace

std::string format_drift_report(const DriftResult& result) {
  const int64_t num_documents = result.all ? result.all->num_documents : 0;
  std::string text =
      fmt::format("{} against {}: rewards of {}", result.now, result.there, counted(num_documents, "document"));
  if (result.num_bad_rows > 0) text += fmt::format(" ({} left out)", counted(result.num_bad_rows, "bad line"));
  text += "\n";
  if (!result.all) return text;

  std::vector<Line> lines = {{""},
                             {"documents"},
                             {"rank correlation"},
                             {"|difference|, mean"},
                             {"|difference|, 99th percentile"},
                             {"|difference|, largest"},
                             {"standard deviation of rewards"},
                             {"pairs that change their order"}};
  const auto add = [&](const std::string& name, const std::optional<RewardDrift>& drift) {
    if (!drift) return;
    const double deviation = drift->standard_deviation;
    const std::array<std::string, 8> cells = {name,
                                              std::to_string(drift->num_documents),
                                              correlation_text(drift->rank_correlation),
                                              of_deviation(drift->mean, deviation),
                                              of_deviation(drift->percentile_99, deviation),
                                              of_deviation(drift->largest, deviation),
                                              fmt::format("{:.4g}", deviation),
                                              flips_text(*drift)};
    for (size_t i = 0; i < lines.size(); ++i) lines[i].push_back(cells[i]);
  };
  add("all", result.all);
  add(fmt::format(">= {} chunks", DriftResult::kLongerChunks), result.longer);
  text += format_table(lines);

  const RewardPair& farthest = result.all->farthest;
  const std::string id = farthest.id_json.empty() ? "" : ", id " + printable(farthest.id_json);
  return text + fmt::format("largest: line {}{}: {} in {}, {} in {}\n", printable(farthest.place), id,
                            shortest(farthest.there), result.there, shortest(farthest.now), result.now);
}

}  // namespace prm_score
