#include <algorithm>
#include <iterator>
#include <set>
#include <utility>
#include <variant>

#include "command_parts.h"
#include <nlohmann/json.hpp>

#include "prm_score/cli/commands.h"
#include "prm_score/cli/messages.h"
#include "prm_score/cli/model_folder.h"
#include "prm_score/model/model_config.h"
#include "prm_score/model/safetensors.h"
#include "prm_score/score/score_plan.h"
#include "prm_score/text/counted.h"
#include "prm_score/text/prompt.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {
namespace {

using Json = nlohmann::ordered_json;

Json architecture_json(const ModelConfig& config) {
  return {{"model_type", config.model_type},
          {"num_parameters", config.num_parameters()},
          {"num_hidden_layers", config.num_hidden_layers},
          {"hidden_size", config.hidden_size},
          {"intermediate_size", config.intermediate_size},
          {"num_attention_heads", config.num_attention_heads},
          {"num_key_value_heads", config.num_key_value_heads},
          {"head_dim", config.head_dim},
          {"vocab_size", config.vocab_size},
          {"tie_word_embeddings", config.tie_word_embeddings},
          {"max_position_embeddings", config.max_position_embeddings},
          {"sliding_window", config.sliding_window ? Json(*config.sliding_window) : Json(nullptr)}};
}

Json weights_json(const SafetensorsReader& files, const ModelConfig& config) {
  std::set<std::string> dtypes, names;
  int64_t num_bytes = 0;
  for (const auto& [name, tensor] : files.tensors()) {
    dtypes.insert(tensor.dtype);
    names.insert(tensor.file);
    num_bytes += static_cast<int64_t>(tensor.bytes.size());
  }
  const Json quantization = config.quantization == Quantization::kInt8 ? Json("int8") : Json(nullptr);
  return {{"dtypes", dtypes}, {"num_files", names.size()}, {"num_bytes", num_bytes}, {"quantization", quantization}};
}

// Bytes that the weights take in memory, per dtype to compute in.
Json memory_json(const ModelConfig& config, const SafetensorsReader& files) {
  const auto embeddings = files.tensors().find("model.embed_tokens.weight");
  const bool is_float32 = embeddings != files.tensors().end() && embeddings->second.dtype == "F32";
  const int64_t checkpoint = is_float32 ? 4 : 2;
  const Json int8 = {{"int8", weight_bytes(config, {.compute = 4, .checkpoint = checkpoint, .rounded = 1})}};
  if (config.quantization == Quantization::kInt8) return int8;
  return {{"float32", weight_bytes(config, {.compute = 4, .checkpoint = checkpoint})},
          {"bfloat16", weight_bytes(config, {.compute = 2, .checkpoint = checkpoint})},
          {"int8", int8["int8"]},
          {"fp8", weight_bytes(config, {.compute = 2, .checkpoint = checkpoint, .rounded = 1})}};
}

Json tokenizer_json(const Tokenizer& tokenizer) {
  const auto bos_id = tokenizer.bos_id();
  return {{"file", tokenizer.file_name()},
          {"sha256", tokenizer.file_sha256()},
          {"vocab_size", tokenizer.vocab_size()},
          {"bos_id", bos_id ? Json(*bos_id) : Json(nullptr)}};
}

// Of a line that cannot be scored: the error alone.
DocumentPrompts prompts_of(const InputLine& line, const PromptBuilder& builder) {
  if (const auto* document = std::get_if<Document>(&line)) return builder.build(*document, {});
  DocumentPrompts none;
  none.error = std::get<LineError>(line).reason;
  return none;
}

// What it takes to score the documents of a file: rows of the forward passes.
Json plan_json(const Options& options, const PromptBuilder& builder) {
  JsonlReader reader({.lines = {.files = {options.plan},
                                .max_line_bytes = options.max_line_bytes,
                                .limit = options.limit,
                                .shard = shard_of(options)},
                      .fields = options.fields});
  int64_t num_documents = 0, num_bad = 0, num_tokens = 0, num_chunks = 0, num_rows = 0, num_rows_alone = 0;
  std::string first_bad;
  while (const auto line = reader.next()) {
    DocumentPrompts prompts = prompts_of(*line, builder);
    if (!prompts.error.empty()) {
      const auto number = std::visit([](const auto& read) { return read.origin.line; }, *line);
      if (++num_bad == 1) first_bad = "line " + std::to_string(number) + ": " + prompts.error;
      continue;
    }
    ++num_documents;
    num_tokens += prompts.num_tokens;
    num_chunks += std::ssize(prompts.chunks);
    const ScorePlan plan = make_score_plan(std::move(prompts));
    num_rows += plan.num_rows();
    num_rows_alone += plan.num_rows_alone();
  }
  if (num_bad > 0) {
    print_warning(options.plan + ": " + counted(num_bad, "bad line") + ", left out of the plan, the first is " +
                  first_bad);
  }
  return {{"documents", num_documents}, {"bad_lines", num_bad}, {"tokens", num_tokens},
          {"chunks", num_chunks},       {"rows", num_rows},     {"rows_without_sharing", num_rows_alone}};
}

Json non_finite_json(const SafetensorsReader& files) {
  Json tensors = Json::array();
  for (const auto& [name, tensor] : files.tensors()) {
    const NonFinite found = find_non_finite(tensor);
    if (found.count == 0) continue;
    tensors.push_back({{"tensor", name}, {"file", tensor.file}, {"count", found.count}, {"first", found.first}});
  }
  return tensors;
}

// The exit code: 1 if there are any.
int report_non_finite(const Json& tensors) {
  for (const Json& found : tensors) {
    const auto count = found["count"].get<int64_t>();
    print_error(found["file"].get<std::string>() + ": " + found["tensor"].get<std::string>() +
                ": expected finite numbers, found " + std::to_string(count) + (count == 1 ? " that is" : " that are") +
                " not, the first at " + shape_to_string(found["first"].get<std::vector<int64_t>>()));
  }
  return tensors.empty() ? 0 : 1;
}

// `a.b.c   value`, one per line.
std::string format_for_people(const Json& info) {
  std::vector<std::pair<std::string, std::string>> lines;
  size_t width = 0;
  const Json facts = info.flatten();
  for (const auto& [pointer, value] : facts.items()) {
    std::string name = pointer.substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    width = std::max(width, name.size());
    lines.emplace_back(std::move(name), value.is_string() ? value.get<std::string>() : value.dump());
  }
  std::string text;
  for (const auto& [name, value] : lines) text += name + std::string(width + 2 - name.size(), ' ') + value + "\n";
  return text;
}

}  // namespace

int run_info(const Options& options) {
  const auto folder = model_folder(options.model);
  const auto config = load_model_config(folder);
  const SafetensorsReader files(folder);
  const auto tokenizer = load_tokenizer(folder, {.special_tokens = options.special_tokens});
  const int64_t chunk_size = options.prompt.chunking.chunk_size;

  Json info = {{"folder", folder.string()}};
  info["architecture"] = architecture_json(config);
  info["max_positions"] = config.max_positions();
  info["default_max_context"] = default_max_context(*tokenizer, chunk_size, config.max_positions());
  info["labels"] = {{options.label_a, tokenizer->label_id(options.label_a)},
                    {options.label_b, tokenizer->label_id(options.label_b)}};
  info["tokenizer"] = tokenizer_json(*tokenizer);
  info["template"] = {{"sha256", template_sha256()}};
  info["weights"] = weights_json(files, config);
  info["weight_bytes_in_memory"] = memory_json(config, files);

  if (!options.plan.empty()) {
    const PromptBuilder builder(*tokenizer, options.prompt, config.max_positions());
    info["plan"] = plan_json(options, builder);
  }

  if (options.verify) info["non_finite"] = non_finite_json(files);

  const auto text =
      options.json ? info.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n" : format_for_people(info);
  auto output = standard_output();
  output.write(text);
  output.finish();
  return options.verify ? report_non_finite(info["non_finite"]) : 0;
}

}  // namespace prm_score
