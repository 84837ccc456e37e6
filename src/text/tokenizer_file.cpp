#include "tokenizer_file.h"

#include "prm_score/error.h"

namespace prm_score {
namespace {

using nlohmann::json;

// Receives the parser's events. Ids and merges go straight into their tables, all else into the tree.
class FileHandler final : public nlohmann::json_sax<json> {
 public:
  explicit FileHandler(std::string_view file_name) : file_name_(file_name) {}

  TokenizerFile take() { return std::move(file_); }

  bool null() override { return add_value(nullptr); }
  bool boolean(bool value) override { return add_value(value); }
  bool number_integer(number_integer_t value) override { return add_value(value); }
  bool number_float(number_float_t value, const string_t& /*digits*/) override { return add_value(value); }
  bool binary(binary_t& /*value*/) override { return false; }  // not in text

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kVocab) return add_value(value);
    require(value <= static_cast<uint64_t>(TokenTable::kMaxTokenId), "model.vocab",
            "ids up to " + std::to_string(TokenTable::kMaxTokenId) + ", got " + std::to_string(value));
    try {
      file_.vocab.add(key_, static_cast<TokenId>(value));
    } catch (const Error& error) {
      throw Error(file_name_ + ": model.vocab: " + error.what());
    }
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMerges) return add_merge(value);
    if (place_ != Place::kMergePair) return add_value(std::move(value));
    pair_.push_back(std::move(value));
    return true;
  }

  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }

  bool start_object(size_t /*size*/) override {
    if (is_model_member("vocab")) {
      require(!file_.has_vocab, "model.vocab", "it once, got it twice");
      file_.has_vocab = true;
      place_ = Place::kVocab;
      return true;
    }
    return open(json::object());
  }

  bool end_object() override {
    if (place_ == Place::kVocab) {
      place_ = Place::kTree;
    } else {
      containers_.pop_back();
    }
    return true;
  }

  bool start_array(size_t /*size*/) override {
    if (is_model_member("merges")) {
      require(!file_.has_merges, "model.merges", "it once, got it twice");
      file_.has_merges = true;
      place_ = Place::kMerges;
      return true;
    }
    if (place_ != Place::kMerges) return open(json::array());
    place_ = Place::kMergePair;
    pair_.clear();
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kMergePair) {
      require(pair_.size() == 2, merge_field(), "two tokens, got " + std::to_string(pair_.size()));
      file_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
      place_ = Place::kMerges;
    } else if (place_ == Place::kMerges) {
      place_ = Place::kTree;
    } else {
      containers_.pop_back();
    }
    return true;
  }

  bool parse_error(size_t position, const std::string& /*token*/, const nlohmann::detail::exception& error) override {
    const std::string_view what = error.what();  // "[json.exception.parse_error.101] parse error at line ..: .."
    const size_t prefix_end = what.find("] ");
    throw Error(file_name_ + ": byte " + std::to_string(position) + ": not valid JSON: " +
                std::string(prefix_end == std::string_view::npos ? what : what.substr(prefix_end + 2)));
  }

 private:
  enum class Place { kTree, kVocab, kMerges, kMergePair };
  static constexpr size_t kMaxDepth = 64;

  void require(bool condition, const std::string& field, const std::string& expected_and_got) const {
    if (!condition) throw Error(file_name_ + ": " + field + ": expected " + expected_and_got);
  }

  [[nodiscard]] std::string merge_field() const { return "model.merges[" + std::to_string(file_.merges.size()) + "]"; }

  [[nodiscard]] bool is_model_member(std::string_view name) const {
    return place_ == Place::kTree && containers_.size() == 2 && containers_.back() == model_ && key_ == name;
  }

  // "a b": two tokens, neither of which holds a space.
  bool add_merge(const std::string& text) {
    constexpr std::string_view kHeaderLine = "#version";  // of a merges.txt taken over line by line: skipped
    if (text.starts_with(kHeaderLine)) return true;
    const size_t space = text.find(' ');
    require(space != std::string::npos && text.find(' ', space + 1) == std::string::npos, merge_field(),
            "two tokens with a space between them, got \"" + text.substr(0, 80) + "\"");
    file_.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    return true;
  }

  bool add_value(json value) {
    place_value(std::move(value));
    return true;
  }

  bool open(json container) {
    const bool is_model = containers_.size() == 1 && containers_[0]->is_object() && key_ == "model";
    if (is_model) require(model_ == nullptr, "model", "it once, got it twice");
    json* opened = place_value(std::move(container));
    if (is_model) model_ = opened;
    containers_.push_back(opened);
    require(containers_.size() <= kMaxDepth, "nesting", "at most " + std::to_string(kMaxDepth) + " levels, got more");
    return true;
  }

  json* place_value(json value) {
    require(place_ != Place::kVocab, "model.vocab", "ids of 0 or more as its values, got something else");
    require(place_ != Place::kMerges && place_ != Place::kMergePair, merge_field(), "tokens, got something else");
    if (containers_.empty()) return &(file_.fields = std::move(value));
    json& parent = *containers_.back();
    if (!parent.is_array()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  std::string file_name_;
  TokenizerFile file_;
  std::vector<json*> containers_;  // from the whole document to the innermost one that is open
  json* model_ = nullptr;
  std::string key_;
  Place place_ = Place::kTree;
  std::vector<std::string> pair_;
};

}  // namespace

TokenizerFile read_tokenizer_file(std::string_view text, std::string_view file_name) {
  FileHandler handler(file_name);
  json::sax_parse(text.begin(), text.end(), &handler);
  return handler.take();
}

}  // namespace prm_score
