// module.cpp - prm_score._native: options, documents and results between Python and prm_score::Scorer. What users see
// of it is in prm_score/scorer.py.
#include <algorithm>
#include <cstddef>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scoring_runs.h"
#include <ATen/Parallel.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "prm_score/cli/option_table.h"
#include "prm_score/cli/scorer_options.h"
#include "prm_score/error.h"
#include "prm_score/io/json_line.h"
#include "prm_score/io/jsonl_reader.h"
#include "prm_score/score/scorer.h"

namespace prm_score {
namespace {

namespace nb = nanobind;

// By name as on the command line, without dashes, the value as text.
using OptionTexts = std::map<std::string, std::string>;

// `--chunk-size: ..` as Python writes it, `chunk_size: ..`; of what is no option's message nothing changes.
std::string in_python(std::string message) {
  constexpr size_t kNumDashes = 2;
  if (!message.starts_with("--")) return message;
  message.erase(0, kNumDashes);
  const size_t end_of_name = std::min(message.find_first_of(": "), message.size());
  std::replace(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(end_of_name), '-', '_');
  return message;
}

nb::builtin_exception wrong_option(const std::string& message) { return nb::value_error(in_python(message).c_str()); }

Options read_options(const OptionTexts& texts) {
  Options options;
  options.prompt.chunking.stride = kStrideNotGiven;
  for (const auto& spec : option_table()) {
    const auto text = texts.find(spec.name);
    if (text == texts.end() || spec.set(options, text->second)) continue;
    throw wrong_option("--" + std::string(spec.name) + ": expected " + spec.expected + ", got " +
                       to_json_string(text->second));
  }
  try {
    resolve_stride(options.prompt.chunking);
  } catch (const UsageError& error) {
    throw wrong_option(error.what());
  }
  return options;
}

// Documents that are all there already.
class DocumentList final : public LineSource {
 public:
  explicit DocumentList(std::vector<InputLine> lines) : lines_(std::move(lines)) {}
  std::optional<InputLine> next() override {
    if (next_ == lines_.size()) return std::nullopt;
    return std::move(lines_[next_++]);
  }
  void interrupt() override {}

 private:
  std::vector<InputLine> lines_;
  size_t next_ = 0;
};

std::string text_of(const nb::bytes& utf8) { return {utf8.c_str(), utf8.size()}; }

// `document`: (text, context), or why there is no text.
InputLine read_document(nb::handle document) {
  if (nb::isinstance<nb::str>(document)) return LineError{{}, nb::cast<std::string>(document)};
  if (!nb::isinstance<nb::tuple>(document) || nb::len(document) != 2) {
    throw nb::type_error("documents: expected (text, context) or why there is no text");
  }
  const auto pair = nb::cast<nb::tuple>(document);
  return Document{{}, text_of(nb::cast<nb::bytes>(pair[0])), text_of(nb::cast<nb::bytes>(pair[1]))};
}

std::vector<InputLine> read_documents(const nb::list& documents) {
  std::vector<InputLine> lines;
  lines.reserve(documents.size());
  for (const nb::handle document : documents) lines.push_back(read_document(document));
  return lines;
}

nb::object spans_of(const DocumentReward& reward) {
  nb::list spans;
  for (const ChunkSpan& span : reward.spans) {
    spans.append(nb::make_tuple(nb::make_tuple(span.token_begin, span.token_end),
                                nb::make_tuple(span.char_begin, span.char_end),
                                nb::make_tuple(span.byte_begin, span.byte_end)));
  }
  return spans;
}

nb::object warnings_of(const DocumentWarnings& warnings) {
  nb::list names;
  for (const std::string_view name : names_of(warnings)) names.append(nb::str(name.data(), name.size()));
  return names;
}

// In the order of Result's fields, from `reward` on.
nb::tuple result_of(const DocumentReward& reward) {
  return nb::make_tuple(reward.reward, reward.num_tokens, reward.num_chunks, reward.log_odds, spans_of(reward),
                        warnings_of(reward.warnings),
                        reward.error.empty() ? std::nullopt : std::optional(reward.error));
}

// Opens a checkpoint. That sets torch's number of threads in this process, which afterwards is what it was.
std::unique_ptr<Scorer> open_checkpoint(const ScorerOptions& options) {
  static std::timed_mutex one_at_a_time;
  std::unique_ptr<Scorer> scorer;
  run_beside_python(one_at_a_time, [&](const StopFlag&) {
    struct Restored {
      int num_threads = at::get_num_threads();
      ~Restored() { at::set_num_threads(num_threads); }
    } const restored;
    try {
      scorer = std::make_unique<Scorer>(options);
    } catch (const Error& error) {
      throw Error(in_python(error.what()));
    }
  });
  if (!scorer) throw Error("the interpreter is ending");
  return scorer;
}

// The Scorer of Python: any number of threads may use it, in turns.
class SharedScorer {
 public:
  explicit SharedScorer(const OptionTexts& texts) {
    ScorerOptions options = scorer_options(read_options(texts));
    options.warn = [](const std::string& warning) { std::cerr << "prm_score: " + warning + "\n"; };
    scorer_ = open_checkpoint(options);
  }

  // One result per document, in their order.
  nb::list score(const nb::list& documents) {
    DocumentList source(read_documents(documents));
    std::vector<DocumentReward> rewards;
    rewards.reserve(documents.size());
    run_beside_python(turn_, [&](const StopFlag& stop) { run(source, rewards, stop); });
    if (rewards.size() < documents.size()) throw Error("the interpreter is ending");
    nb::list results;
    for (const DocumentReward& reward : rewards) results.append(result_of(reward));
    return results;
  }

  nb::dict info() const {
    const ScorerInfo& info = scorer_->info();
    nb::dict values;
    values["model_type"] = info.model_type;
    values["device"] = info.device;
    values["dtype"] = info.dtype;
    values["replicas"] = info.num_replicas;
    values["threads"] = info.threads;
    values["max_positions"] = info.max_positions;
    values["max_context"] = info.max_context;
    values["max_batch_tokens"] = info.max_batch_tokens;
    values["torch_version"] = info.torch_version;
    return values;
  }

 private:
  void run(DocumentList& source, std::vector<DocumentReward>& rewards, const StopFlag& stop) {
    const auto take = [&](const RowOrigin&, const DocumentReward& reward) {
      rewards.push_back(reward);
      return true;
    };
    scorer_->score(source, take, stop);
  }

  std::timed_mutex turn_;
  std::unique_ptr<Scorer> scorer_;
};

// Why what is of this kind is no document; as rows say it.
std::string why_no_document(JsonKind kind) {
  JsonLine line;
  line.kind = kind;
  return why_no_object(line);
}

// Why a field, whose value is of this kind (None: there is no such field), is no text; as rows say it.
std::string why_no_text(const std::string& field, std::optional<JsonKind> kind) {
  if (!kind) return why_not_string(field, nullptr);
  JsonMember member;
  member.kind = *kind;
  return why_not_string(field, &member);
}

}  // namespace
}  // namespace prm_score

NB_MODULE(_native, module) {  // NOLINT(performance-unnecessary-value-param): as the macro has it
  namespace nb = nanobind;
  using namespace prm_score;

  nb::set_leak_warnings(false);  // a Scorer that is still in use when the interpreter ends is nobody's mistake
  nb::exception<Error>(module, "Error", PyExc_RuntimeError);
  nb::enum_<JsonKind>(module, "JsonKind")
      .value("NULL", JsonKind::kNull)
      .value("BOOLEAN", JsonKind::kBoolean)
      .value("NUMBER", JsonKind::kNumber)
      .value("ARRAY", JsonKind::kArray)
      .value("OBJECT", JsonKind::kObject);
  module.def("why_no_document", &why_no_document, nb::arg("kind"));
  module.def("why_no_text", &why_no_text, nb::arg("field"), nb::arg("kind").none());
  module.def("end_all_runs", &end_all_runs, nb::call_guard<nb::gil_scoped_release>());
  nb::class_<SharedScorer>(module, "SharedScorer")
      .def(nb::init<const OptionTexts&>(), nb::arg("options"))
      .def("score", &SharedScorer::score, nb::arg("documents"))
      .def_prop_ro("info", &SharedScorer::info);
}
