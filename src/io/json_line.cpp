#include "prm_score/io/json_line.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <unordered_map>
#include <utility>

#include <nlohmann/json.hpp>

namespace prm_score {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kWhiteSpace = " \t\n\r";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr int kNumberOutOfRange = 406;  // id of nlohmann's exception

JsonLine not_json(std::string_view why, size_t byte) {
  JsonLine result;
  result.error.append("not JSON: ").append(why).append(" at byte ").append(std::to_string(byte));
  return result;
}

// Reads a line and tells others how far it got, which nlohmann's parser does not.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** last_read) : at_(at), last_read_(last_read) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *last_read_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    auto before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** last_read_;
};

// Takes the parser's events; keeps the wanted fields of the outermost object. When an event arrives the parser stands
// right behind its token, but for a number, which it only knows to have ended one byte later.
class FieldCollector : public nlohmann::json_sax<Json> {
 public:
  // `parsed` is what the parser reads: `line`, or a stand-in of the same layout.
  FieldCollector(std::string_view line, std::string_view parsed, const JsonMemberSelection& wanted)
      : line_(line), parsed_(parsed), wanted_(wanted), at_(parsed.data()) {}

  void run() {
    Json::sax_parse(CountingIterator(parsed_.data(), &at_), CountingIterator(parsed_.data() + parsed_.size(), &at_),
                    this);
  }
  JsonLine take_result() { return std::move(result_); }
  bool stopped_at_number() const { return stopped_at_number_; }

  bool null() override { return scalar(JsonKind::kNull); }
  bool boolean(bool) override { return scalar(JsonKind::kBoolean); }
  bool number_integer(number_integer_t) override { return scalar(JsonKind::kNumber); }
  bool number_unsigned(number_unsigned_t) override { return scalar(JsonKind::kNumber); }
  bool number_float(number_float_t, const string_t&) override { return scalar(JsonKind::kNumber); }
  bool binary(binary_t&) override { return false; }  // not in JSON text

  bool string(string_t& text) override {
    if (depth_ == 1 && field_) field_->text = std::move(text);
    return scalar(JsonKind::kString);
  }
  bool start_object(std::size_t) override { return open(JsonKind::kObject); }
  bool start_array(std::size_t) override { return open(JsonKind::kArray); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    if (depth_ != 1) return true;
    const size_t end = offset();
    const size_t begin = parsed_.find('"', token_end_);
    field_ = select_field(key);
    if (field_) {
      field_->key_json = line_.substr(begin, end - begin);
      field_->text.clear();
    }
    value_begin_ = parsed_.find_first_not_of(kWhiteSpace, parsed_.find(':', end) + 1);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    stopped_at_number_ = error.id == kNumberOutOfRange;
    result_ = not_json(reason(error.what()), position);
    return false;
  }

 private:
  size_t offset() const { return static_cast<size_t>(at_ - parsed_.data()); }

  bool scalar(JsonKind kind) {
    if (depth_ == 0) result_.kind = kind;
    if (depth_ != 1) return true;
    const size_t end = kind == JsonKind::kNumber
                           ? std::min(parsed_.find_first_not_of("+-.0123456789Ee", value_begin_), parsed_.size())
                           : offset();
    return finish_value(kind, end);
  }

  bool open(JsonKind kind) {
    if (depth_ == 0) {
      result_.kind = kind;
      token_end_ = offset();
    } else if (depth_ == 1) {
      container_ = kind;
    }
    ++depth_;
    return true;
  }

  bool close() { return --depth_ == 1 ? finish_value(container_, offset()) : true; }

  bool finish_value(JsonKind kind, size_t end) {
    token_end_ = end;
    if (field_) {
      field_->kind = kind;
      field_->value_json = line_.substr(value_begin_, end - value_begin_);
    }
    field_ = nullptr;
    return true;
  }

  // Where the value of `key` goes; nullptr if it is not wanted.
  JsonMember* select_field(const std::string& key) {
    if (!wanted_.all && std::find(wanted_.keys.begin(), wanted_.keys.end(), key) == wanted_.keys.end()) return nullptr;
    const auto [entry, is_new] = index_of_key_.try_emplace(key, result_.fields.size());
    if (is_new) result_.fields.emplace_back().key = key;
    return &result_.fields[entry->second];
  }

  // The why of nlohmann's message, which reads "[id] parse error at ..: syntax error while parsing value - WHY; last
  // read: 'DOCUMENT TEXT'; expected WHAT".
  static std::string_view reason(std::string_view message) {
    message = message.substr(0, message.find("; last read: "));
    const size_t dash = message.find(" - ");
    return dash == std::string_view::npos ? "syntax error" : message.substr(dash + 3);
  }

  std::string_view line_;
  std::string_view parsed_;
  const JsonMemberSelection& wanted_;
  const char* at_;  // just behind what the parser has read
  int64_t depth_ = 0;
  JsonKind container_ = JsonKind::kNull;  // of the open value at depth 1
  size_t token_end_ = 0;                  // at depth 1: just behind `{` or the last value
  size_t value_begin_ = 0;
  JsonMember* field_ = nullptr;  // whose value comes next
  bool stopped_at_number_ = false;
  std::unordered_map<std::string, size_t> index_of_key_;
  JsonLine result_;
};

size_t find_non_digit(std::string_view text, size_t begin) {
  return std::min(text.find_first_not_of("0123456789", begin), text.size());
}

// Makes the number at line[begin] small, keeping its length and whether it is JSON. Returns where it ends.
size_t shrink_number(std::string& line, size_t begin) {
  size_t end = find_non_digit(line, begin);
  const bool has_fraction = end + 1 < line.size() && line[end] == '.' && find_non_digit(line, end + 1) > end + 1;
  if (end - begin > 2 && line[begin] != '0') {  // 123.45 -> 1.0045
    line[begin + 1] = '.';
    std::fill(line.begin() + static_cast<std::ptrdiff_t>(begin) + 2, line.begin() + static_cast<std::ptrdiff_t>(end),
              '0');
    if (has_fraction) line[end] = '0';
  }
  if (has_fraction) end = find_non_digit(line, end + 1);
  if (end < line.size() && (line[end] == 'e' || line[end] == 'E')) {
    size_t exponent = end + 1;
    if (exponent < line.size() && (line[exponent] == '+' || line[exponent] == '-')) ++exponent;
    end = find_non_digit(line, exponent);
    std::fill(line.begin() + static_cast<std::ptrdiff_t>(exponent), line.begin() + static_cast<std::ptrdiff_t>(end),
              '0');
  }
  return end;
}

// nlohmann's parser refuses numbers that overflow a double, though they are JSON. The result has small ones in their
// place; everything else stands where it stood.
std::string shrink_numbers(std::string line) {
  for (size_t i = 0; i < line.size();) {
    if (line[i] == '"') {
      for (++i; i < line.size() && line[i] != '"'; ++i) i += line[i] == '\\' ? 1 : 0;
      ++i;
    } else if (line[i] >= '0' && line[i] <= '9') {
      i = shrink_number(line, i);
    } else {
      ++i;
    }
  }
  return line;
}

}  // namespace

std::string_view json_kind_name(JsonKind kind) {
  switch (kind) {
    case JsonKind::kNull:
      return "null";
    case JsonKind::kBoolean:
      return "a boolean";
    case JsonKind::kNumber:
      return "a number";
    case JsonKind::kString:
      return "a string";
    case JsonKind::kArray:
      return "an array";
    case JsonKind::kObject:
      return "an object";
  }
  return "";
}

const JsonMember* JsonLine::find(std::string_view key) const {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const JsonMember& field) { return field.key == key; });
  return found == fields.end() ? nullptr : &*found;
}

JsonLine parse_json_line(std::string_view line, const JsonMemberSelection& wanted) {
  // nlohmann's parser skips a byte order mark, and takes a NUL for the end of the text.
  if (line.starts_with(kByteOrderMark)) return not_json("byte order mark", 1);
  if (const size_t nul = line.find('\0'); nul != std::string_view::npos) return not_json("NUL", nul + 1);
  FieldCollector collector(line, line, wanted);
  collector.run();
  if (!collector.stopped_at_number()) return collector.take_result();
  const std::string small = shrink_numbers(std::string(line));
  FieldCollector second(line, small, wanted);
  second.run();
  return second.take_result();
}

std::string to_json_string(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace prm_score
