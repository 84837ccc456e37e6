#include "prm_score/text/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <unordered_map>

#include "json_field.h"
#include "tokenizer_file.h"
#include <nlohmann/json.hpp>

#include "prm_score/text/byte_level.h"
#include "prm_score/text/normalizer.h"

namespace prm_score {
namespace {

// What ByteLevel splits by with `use_regex`. Source: the `tokenizers` package.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

void require_supported(bool condition, const JsonField& field, std::string_view expected) {
  if (!condition) throw UnsupportedTokenizer(field.message(expected));
}

// The steps of a component: the members of a `Sequence`, or the component itself.
std::vector<JsonField> steps_of(const JsonField& component, std::string_view list_name) {
  if (!component["type"].is_string("Sequence")) return {component};
  const JsonField list = component[list_name];
  std::vector<JsonField> steps;
  for (size_t i = 0; i < list.array_size(); ++i) steps.push_back(list[i]);
  return steps;
}

bool parse_normalizer(const JsonField& normalizer) {
  if (normalizer.is_null()) return false;
  const auto steps = steps_of(normalizer, "normalizers");
  for (const JsonField& step : steps) require_supported(step["type"].is_string("NFC"), step["type"], "NFC");
  return !steps.empty();
}

// A regex that matches just `text`.
std::string escape_regex(std::string_view text) {
  constexpr std::string_view kSpecial = R"(\^$.|?*+()[]{}-&#~)";
  std::string regex;
  for (const char c : text) {
    if (kSpecial.find(c) != std::string_view::npos) regex.push_back('\\');
    regex.push_back(c);
  }
  return regex;
}

SplitRule parse_split(const JsonField& split) {
  require_supported(split["behavior"].is_string("Isolated"), split["behavior"], "\"Isolated\"");
  require_supported(!split["invert"].as_bool(), split["invert"], "false");
  const JsonField pattern = split["pattern"];
  if (!pattern["Regex"].is_null()) return {pattern["Regex"].as_string(), pattern["Regex"].place()};
  return {escape_regex(pattern["String"].as_string()), pattern["String"].place()};
}

std::vector<SplitRule> parse_pre_tokenizer(const JsonField& pre_tokenizer) {
  require_supported(!pre_tokenizer.is_null(), pre_tokenizer, "ByteLevel or a Sequence that ends with it");
  const auto steps = steps_of(pre_tokenizer, "pretokenizers");
  require_supported(!steps.empty(), pre_tokenizer, "a Sequence that ends with ByteLevel");
  std::vector<SplitRule> patterns;
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    require_supported(steps[i]["type"].is_string("Split"), steps[i]["type"], "Split before the last");
    patterns.push_back(parse_split(steps[i]));
  }
  const JsonField& last = steps.back();
  require_supported(last["type"].is_string("ByteLevel"), last["type"], "ByteLevel as the last");
  require_supported(!last["add_prefix_space"].as_bool(), last["add_prefix_space"], "false");
  if (last["use_regex"].is_null() || last["use_regex"].as_bool()) {  // true by default
    patterns.push_back({std::string(kGpt2Pattern), last["use_regex"].place()});
  }
  return patterns;
}

void check_decoder(const JsonField& decoder) {
  require_supported(!decoder.is_null(), decoder, "ByteLevel");
  const auto steps = steps_of(decoder, "decoders");
  require_supported(steps.size() == 1, decoder, "ByteLevel alone");
  require_supported(steps[0]["type"].is_string("ByteLevel"), steps[0]["type"], "ByteLevel");
}

// `merges: ["a b"]` and the flags of the model; the vocabulary must be read.
struct ModelParts {
  std::vector<BpeMerge> merges;
  bool ignore_merges = false;
};

TokenId find_token(const TokenTable& vocab, const std::string& token, const JsonField& model, size_t merge) {
  const TokenId id = vocab.find(token);
  if (id != TokenTable::kNotFound) return id;
  throw Error(model.place() + ".merges[" + std::to_string(merge) + "]: expected tokens of the vocabulary, got \"" +
              token.substr(0, 80) + "\"");
}

std::vector<BpeMerge> resolve_merges(const TokenizerFile& file, const JsonField& model) {
  std::vector<BpeMerge> merges;
  merges.reserve(file.merges.size());
  for (size_t i = 0; i < file.merges.size(); ++i) {
    const auto& [left, right] = file.merges[i];
    merges.push_back({find_token(file.vocab, left, model, i), find_token(file.vocab, right, model, i),
                      find_token(file.vocab, left + right, model, i)});
  }
  return merges;
}

bool flag_or_false(const JsonField& field) { return !field.is_null() && field.as_bool(); }

ModelParts parse_model(const TokenizerFile& file, const JsonField& model) {
  const JsonField type = model["type"];
  require_supported(type.is_null() || type.is_string("BPE"), type, "BPE");  // old files do not say
  for (const char* field : {"dropout", "unk_token"}) require_supported(model[field].is_null(), model[field], "null");
  for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    require_supported(model[field].is_null() || model[field].is_string(""), model[field], "null or \"\"");
  }
  require_supported(!flag_or_false(model["byte_fallback"]), model["byte_fallback"], "false");
  (void)flag_or_false(model["fuse_unk"]);  // without an unk_token it does nothing
  if (!file.has_vocab) throw Error(model["vocab"].message("an object of tokens and ids"));
  if (!file.has_merges) throw Error(model["merges"].message("an array of merges"));
  return {resolve_merges(file, model), flag_or_false(model["ignore_merges"])};
}

AddedToken parse_added_token(const JsonField& field) {
  AddedToken token;
  token.content = field["content"].as_string();
  token.single_word = field["single_word"].as_bool();
  token.lstrip = field["lstrip"].as_bool();
  token.rstrip = field["rstrip"].as_bool();
  token.normalized = field["normalized"].as_bool();
  token.special = field["special"].as_bool();
  return token;
}

// The reference does not go by the ids of the file: a token of the model keeps its id, the others are numbered from the
// model's number of tokens on. Where the file disagrees nobody knows what was meant.
std::vector<AddedToken> parse_added_tokens(const JsonField& list, const TokenTable& vocab) {
  std::vector<AddedToken> tokens;
  if (list.is_null()) return tokens;
  TokenTable contents;
  auto next_id = static_cast<TokenId>(vocab.num_tokens());
  for (size_t i = 0; i < list.array_size(); ++i) {
    AddedToken token = parse_added_token(list[i]);
    if (token.content.empty()) continue;  // as the reference
    const TokenId known = vocab.find(token.content);
    token.id = known != TokenTable::kNotFound ? known : next_id++;
    if (list[i]["id"].as_id() != token.id) {
      throw Error(list[i]["id"].message("id " + std::to_string(token.id) + " for this token"));
    }
    if (known == TokenTable::kNotFound && vocab.contains(token.id)) {
      throw Error(list[i]["id"].message("an id that no token of model.vocab has"));
    }
    try {
      contents.add(token.content, token.id);
    } catch (const Error& error) {
      throw Error(list[i].place() + ": " + error.what());
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// The special tokens that a TemplateProcessing puts before the text.
std::vector<TokenId> tokens_before_text(const JsonField& processor) {
  std::vector<TokenId> before;
  const JsonField single = processor["single"];
  for (size_t i = 0; i < single.array_size(); ++i) {
    const JsonField special = single[i]["SpecialToken"];
    if (special.is_null()) {
      require_supported(single[i]["Sequence"]["id"].is_string("A"), single[i]["Sequence"]["id"], "\"A\"");
      return before;
    }
    const JsonField ids = processor["special_tokens"][special["id"].as_string()]["ids"];
    for (size_t k = 0; k < ids.array_size(); ++k) before.push_back(static_cast<TokenId>(ids[k].as_id()));
  }
  throw Error(single.message("an element Sequence A"));
}

std::optional<TokenId> parse_post_processor(const JsonField& post_processor) {
  std::optional<TokenId> bos_id;
  if (post_processor.is_null()) return bos_id;
  for (const JsonField& step : steps_of(post_processor, "processors")) {
    if (step["type"].is_string("ByteLevel")) continue;  // only moves offsets
    require_supported(step["type"].is_string("TemplateProcessing"), step["type"], "ByteLevel or TemplateProcessing");
    for (const TokenId id : tokens_before_text(step)) {
      require_supported(!bos_id, step["single"], "at most one token before the text");
      bos_id = id;
    }
  }
  return bos_id;
}

// From tokens as written to tokens as bytes.
TokenTable spell_tokens(const TokenTable& vocab) {
  TokenTable tokens;
  for (TokenId id = 0; id < vocab.end_id(); ++id) {
    if (!vocab.contains(id)) continue;
    const auto bytes = byte_level_bytes(vocab.bytes(id));
    tokens.add(bytes ? *bytes : vocab.bytes(id), id, /*findable=*/bytes.has_value());
  }
  tokens.shrink_to_fit();
  return tokens;
}

}  // namespace

std::optional<TokenId> TokenizerJson::token_id(std::string_view content) const {
  for (const AddedToken& token : added_tokens) {
    if (token.content == content) return token.id;
  }
  const auto bytes = byte_level_bytes(content);
  const TokenId id = bytes ? tokens.find(*bytes) : TokenTable::kNotFound;
  return id == TokenTable::kNotFound ? std::nullopt : std::optional(id);
}

TokenizerJson parse_tokenizer_json(std::string_view json, std::string_view file_name) {
  const TokenizerFile file = read_tokenizer_file(json, file_name);
  const JsonField root(file.fields, file_name);
  if (!root["version"].is_null()) require_supported(root["version"].is_string("1.0"), root["version"], "\"1.0\"");
  auto [merges, ignore_merges] = parse_model(file, root["model"]);
  TokenizerJson parsed;
  parsed.merges = std::move(merges);
  parsed.ignore_merges = ignore_merges;
  parsed.normalizes_to_nfc = parse_normalizer(root["normalizer"]);
  parsed.split_rules = parse_pre_tokenizer(root["pre_tokenizer"]);
  check_decoder(root["decoder"]);
  parsed.added_tokens = parse_added_tokens(root["added_tokens"], file.vocab);
  parsed.bos_id = parse_post_processor(root["post_processor"]);
  parsed.tokens = spell_tokens(file.vocab);
  const auto has_bos_id = [&](const AddedToken& token) { return token.id == parsed.bos_id; };
  if (parsed.bos_id && !parsed.tokens.contains(*parsed.bos_id) &&
      std::ranges::none_of(parsed.added_tokens, has_bos_id)) {
    throw Error(root["post_processor"].place() + ": expected ids of the vocabulary, got " +
                std::to_string(*parsed.bos_id));
  }
  return parsed;
}

std::optional<std::string> read_config_bos_token(const std::filesystem::path& tokenizer_config_file) {
  if (!std::filesystem::exists(tokenizer_config_file)) return std::nullopt;
  if (!std::filesystem::is_regular_file(tokenizer_config_file)) {
    throw Error(tokenizer_config_file.string() + ": expected a regular file");
  }
  std::ifstream stream(tokenizer_config_file, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  if (!stream) throw Error(tokenizer_config_file.string() + ": cannot be read");
  const std::string file_name = tokenizer_config_file.filename().string();
  const nlohmann::json document = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) throw Error(file_name + ": not valid JSON");
  const JsonField config(document, file_name);
  if (!flag_or_false(config["add_bos_token"])) return std::nullopt;
  const JsonField bos_token = config["bos_token"];
  return bos_token.is_object() ? bos_token["content"].as_string() : bos_token.as_string();
}

}  // namespace prm_score
