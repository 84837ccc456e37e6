#include "prm_score/score/self_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <utility>

#include "prm_score/error.h"
#include "prm_score/model/transformer.h"

namespace prm_score {
namespace {

using LogOdds = std::vector<std::vector<std::optional<float>>>;  // [plans][chunks]

constexpr double kFloat32Tolerance = 1e-4;
constexpr double kMeanFactor = 1.25, kMaximumFactor = 2.0;  // of bfloat16 and int8

int64_t num_chunks(const ScorePlan& plan) {
  int64_t count = 0;
  for (const TrunkPlan& trunk : plan.trunks) count += std::ssize(trunk.branches);
  return count;
}

LogOdds judge(Engine& engine, const std::vector<ScorePlan>& plans) {
  LogOdds result(plans.size());
  for (size_t i = 0; i < plans.size(); ++i) engine.add(static_cast<int64_t>(i), plans[i], num_chunks(plans[i]));
  while (engine.num_rows_waiting() > 0) {
    for (JudgedPlan& judged : engine.run_step()) result[judged.ticket] = std::move(judged.log_odds);
  }
  return result;
}

// Each prompt on its own, layer by layer.
LogOdds judge_alone(const Transformer& oracle, const std::vector<ScorePlan>& plans) {
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::optional<float>*> places;
  LogOdds result(plans.size());
  for (size_t i = 0; i < plans.size(); ++i) {
    result[i].resize(num_chunks(plans[i]));
    for (const TrunkPlan& trunk : plans[i].trunks) {
      for (const Branch& branch : trunk.branches) {
        prompts.push_back(prompt_of(trunk, branch));
        places.push_back(&result[i][branch.chunk]);
      }
    }
  }
  const std::vector<float> log_odds = oracle.log_odds_of_all({prompts.begin(), prompts.end()});
  for (size_t i = 0; i < places.size(); ++i) *places[i] = log_odds[i];
  return result;
}

std::string text_of(double number) {
  std::ostringstream text;
  text << number;
  return text.str();
}

// Distances of the chunks whose right answer is finite, in order; infinite for an answer that is not.
std::vector<double> distances(const LogOdds& found, const LogOdds& right) {
  std::vector<double> result;
  for (size_t i = 0; i < right.size(); ++i) {
    for (size_t chunk = 0; chunk < right[i].size(); ++chunk) {
      if (!std::isfinite(right[i][chunk].value())) continue;
      const double distance = std::abs(double{found[i][chunk].value()} - double{*right[i][chunk]});
      result.push_back(std::isfinite(distance) ? distance : std::numeric_limits<double>::infinity());
    }
  }
  return result;
}

double largest_of(const std::vector<double>& numbers) { return *std::max_element(numbers.begin(), numbers.end()); }

double mean_of(const std::vector<double>& numbers) {
  double sum = 0;
  for (const double number : numbers) sum += number;
  return sum / static_cast<double>(numbers.size());
}

void expect_float32(const LogOdds& found, const LogOdds& expected) {
  for (size_t i = 0; i < found.size(); ++i) {
    for (size_t chunk = 0; chunk < found[i].size(); ++chunk) {
      const double exact = expected[i][chunk].value(), got = found[i][chunk].value();
      if (!std::isfinite(exact) && !std::isfinite(got)) continue;  // the checkpoint's fault, not the engine's
      if (std::abs(got - exact) <= kFloat32Tolerance * std::max(1.0, std::abs(exact))) continue;
      throw Error("self-check: sequence " + std::to_string(i) + ", chunk " + std::to_string(chunk) +
                  ": expected log-odds " + text_of(exact) + ", as each prompt on its own gives, found " + text_of(got));
    }
  }
}

void expect_not_above(const char* what, double found, double factor, double oracle) {
  if (std::isfinite(found) && found <= factor * oracle) return;
  throw Error(std::string("self-check: ") + what + " distance from float32: expected at most " +
              text_of(factor * oracle) + " (" + text_of(factor) + " times that of each prompt on its own), found " +
              text_of(found));
}

}  // namespace

std::vector<ScorePlan> self_check_plans(int64_t vocab_size, int64_t max_positions) {
  constexpr int64_t kChunk = 64, kTemplate = 24;
  std::mt19937 random(64);  // std::mt19937 is the same everywhere; distributions are not
  const auto ids = [&](int64_t count) {
    std::vector<TokenId> result(count);
    for (TokenId& id : result) id = static_cast<TokenId>(random() % static_cast<uint64_t>(vocab_size));
    return result;
  };
  std::vector<ScorePlan> plans;
  for (const int64_t num_tokens : {1, 40, 64, 65, 130, 150, 200, 333, 520}) {
    ScorePlan plan;
    int64_t chunk = 0;
    for (const int64_t start : {int64_t{0}, num_tokens / 2}) {  // two trunks, as after a move of the context's start
      TrunkPlan trunk;
      for (int64_t begin = 0; begin < num_tokens - start; begin += kChunk) {
        const int64_t num_shared = std::max<int64_t>(0, begin - chunk % 3);  // tokens merge over the joint now and then
        // Judges answer alike where the template ends, so that it takes other ends, and many of them, for the largest
        // distance in bfloat16 to say something.
        const int64_t own = chunk % 2 == 1 ? 1 : std::min(kChunk, num_tokens - start - begin) + kTemplate;
        if (num_shared + own > max_positions) break;
        trunk.branches.push_back({.chunk = chunk++, .num_shared = num_shared, .ids = ids(own)});
      }
      if (trunk.branches.empty()) trunk.branches.push_back({.chunk = chunk++, .num_shared = 0, .ids = ids(1)});
      trunk.ids = ids(trunk.branches.back().num_shared);
      plan.trunks.push_back(std::move(trunk));
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

void self_check(Engine& engine, const std::shared_ptr<const LoadedModel>& model) {
  const auto plans = self_check_plans(model->config.vocab_size, model->config.max_positions());
  const LogOdds found = judge(engine, plans), alone = judge_alone(Transformer(model), plans);
  const bool is_float32 = model->options.precision == Precision{};
  if (is_float32) return expect_float32(found, alone);
  const LogOdds exact = judge_alone(Transformer(in_float32(*model)), plans);
  const auto found_distances = distances(found, exact), allowed = distances(alone, exact);
  if (allowed.empty()) return;  // no answer is finite: the rows will say so
  expect_not_above("mean", mean_of(found_distances), kMeanFactor, mean_of(allowed));
  expect_not_above("largest", largest_of(found_distances), kMaximumFactor, largest_of(allowed));
}

}  // namespace prm_score
