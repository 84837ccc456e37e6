#include "prm_score/io/metadata.h"

#include <nlohmann/json.hpp>

namespace prm_score {
namespace {

using Json = nlohmann::ordered_json;

Json counts_json(const RunCounts& counts) {
  return {{"lines", counts.num_lines},
          {"scored_rows", counts.num_scored_rows},
          {"bad_rows", counts.num_bad_rows},
          {"tokens", counts.num_tokens},
          {"chunks", counts.num_chunks},
          {"warnings",
           {{"special_tokens", counts.num_special_tokens},
            {"template_markers", counts.num_template_markers},
            {"context_cut", counts.num_context_cut}}}};
}

Json host_json(const HostMetadata& host) {
  Json json = {{"cpu", host.cpu},
               {"instruction_set", host.instruction_set},
               {"processors", host.num_processors},
               {"kernel", host.kernel},
               {"os", host.os},
               {"gpu", nullptr}};
  if (!host.gpu_model.empty()) json["gpu"] = {{"model", host.gpu_model}, {"driver", host.gpu_driver}};
  return json;
}

Json times_json(const StageTimes& times) {
  return {{"load_seconds", times.load},  {"self_check_seconds", times.self_check}, {"scoring_seconds", times.scoring},
          {"read_seconds", times.read},  {"tokenize_seconds", times.tokenize},     {"model_seconds", times.model},
          {"write_seconds", times.write}};
}

Json throughput_json(const Metadata& metadata, const StageTimes& times) {
  const RunCounts& counts = metadata.counts;
  const RunCounts& before = metadata.counts_before;
  const auto rate = [&](int64_t count) {
    return times.scoring > 0 ? Json(static_cast<double>(count) / times.scoring) : Json(nullptr);
  };
  return {{"resumed_rows", before.num_scored_rows + before.num_bad_rows},
          {"forward_rows", times.num_forward_rows},
          {"forward_rows_per_second", rate(times.num_forward_rows)},
          {"chunks_per_second", rate(counts.num_chunks - before.num_chunks)},
          {"tokens_per_second", rate(counts.num_tokens - before.num_tokens)}};
}

Json checkpoint_json(const CheckpointMetadata& checkpoint) {
  return {{"folder", checkpoint.folder},
          {"random_weights", checkpoint.random_weights.empty() ? Json(nullptr) : Json(checkpoint.random_weights)},
          {"model_type", checkpoint.model_type},
          {"sha256", checkpoint.sha256},
          {"labels", {{checkpoint.label_a, checkpoint.label_a_id}, {checkpoint.label_b, checkpoint.label_b_id}}}};
}

Json engine_json(const CheckpointMetadata& checkpoint) {
  return {{"device", checkpoint.device},
          {"dtype", checkpoint.dtype},
          {"replicas", checkpoint.num_replicas},
          {"threads", checkpoint.threads},
          {"threads_per_replica", checkpoint.threads_per_replica},
          {"max_positions", checkpoint.max_positions},
          {"max_context", checkpoint.max_context},
          {"max_batch_tokens", checkpoint.max_batch_tokens},
          {"prefix_sharing", checkpoint.prefix_sharing}};
}

Json accuracy_json(const PairAccuracy& found) {
  Json json = {
      {"accuracy", nullptr}, {"num_pairs", found.num_pairs}, {"num_ties", found.num_ties}, {"num_bad", found.num_bad}};
  json["confidence_interval"] = nullptr;
  if (found.num_pairs == 0) return json;
  json["accuracy"] = found.accuracy();
  const auto [low, high] = found.confidence_interval();
  json["confidence_interval"] = {low, high};
  return json;
}

Json drift_json(const std::optional<RewardDrift>& drift) {
  if (!drift) return nullptr;
  return {{"num_documents", drift->num_documents},
          {"standard_deviation", drift->standard_deviation},
          {"mean", drift->mean},
          {"percentile_99", drift->percentile_99},
          {"largest", drift->largest},
          {"rank_correlation", drift->rank_correlation ? Json(*drift->rank_correlation) : Json(nullptr)},
          {"num_pairs", drift->num_pairs()},
          {"num_flips", drift->num_flips}};
}

Json drift_json(const DriftResult& result) {
  return {{"against", result.there},
          {"num_bad_rows", result.num_bad_rows},
          {"all", drift_json(result.all)},
          {"longer", drift_json(result.longer)}};
}

Json pairs_json(const PairSummary& pairs) {
  Json json = accuracy_json(pairs.all);
  json["subsets"] = Json::object();
  for (const auto& [name, subset] : pairs.subsets) json["subsets"][name] = accuracy_json(subset);
  return json;
}

}  // namespace

void RunCounts::add(const DocumentReward& reward) {
  add_chunks(reward);
  add_warnings(reward.warnings);
}

void RunCounts::add_chunks(const DocumentReward& reward) {
  num_tokens += reward.num_tokens;
  for (const auto& log_odds : reward.log_odds) num_chunks += log_odds.has_value() ? 1 : 0;
}

void RunCounts::add_warnings(const DocumentWarnings& warnings) {
  num_special_tokens += warnings.special_tokens ? 1 : 0;
  num_template_markers += warnings.template_markers ? 1 : 0;
  num_context_cut += warnings.context_cut ? 1 : 0;
}

std::string format_counts(const RunCounts& counts) { return counts_json(counts).dump(); }

RunCounts parse_counts(const std::string& text) {
  const Json json = Json::parse(text);
  const Json& warnings = json.at("warnings");
  const auto number = [](const Json& object, const char* name) { return object.at(name).get<int64_t>(); };
  return {.num_lines = number(json, "lines"),
          .num_scored_rows = number(json, "scored_rows"),
          .num_bad_rows = number(json, "bad_rows"),
          .num_tokens = number(json, "tokens"),
          .num_chunks = number(json, "chunks"),
          .num_special_tokens = number(warnings, "special_tokens"),
          .num_template_markers = number(warnings, "template_markers"),
          .num_context_cut = number(warnings, "context_cut")};
}

std::string format_metadata(const Metadata& metadata) {
  Json json = Json::object();
  json["versions"] = Json::object();
  for (const auto& [name, version] : metadata.versions) json["versions"][name] = version;
  json["host"] = host_json(metadata.host);
  json["command_line"] = metadata.command_line;
  json["options"] = Json::object();
  for (const auto& [name, value] : metadata.options) json["options"][name] = Json::parse(value);
  json["checkpoint"] = nullptr;
  json["tokenizer"] = nullptr;
  json["template"] = {{"sha256", metadata.template_sha256}};
  json["engine"] = nullptr;
  if (const auto& checkpoint = metadata.checkpoint) {
    json["checkpoint"] = checkpoint_json(*checkpoint);
    json["tokenizer"] = {{"file", checkpoint->tokenizer_file}, {"sha256", checkpoint->tokenizer_sha256}};
    json["engine"] = engine_json(*checkpoint);
  }
  json["counts"] = counts_json(metadata.counts);
  if (metadata.drift) json["drift"] = drift_json(*metadata.drift);
  if (metadata.pairs) json["pairs"] = pairs_json(*metadata.pairs);
  if (!metadata.state_json.empty()) json["state"] = Json::parse(metadata.state_json);
  json["elapsed_seconds"] = metadata.elapsed_seconds;
  json["times"] = nullptr;
  json["throughput"] = nullptr;
  if (const auto& times = metadata.times) {
    json["times"] = times_json(*times);
    json["throughput"] = throughput_json(metadata, *times);
  }
  json["replica_failures"] = metadata.replica_failures;
  json["stopped_by"] = metadata.stopped_by.empty() ? Json(nullptr) : Json(metadata.stopped_by);
  json["exit_code"] = metadata.exit_code;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace prm_score
