#include "json_fields.h"

#include <limits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace prm_score {
namespace {

constexpr size_t kMaxDepth = 32;

// Reads JSON without keeping it: the library itself keeps the last of duplicate keys and nests without limit, and its
// parser with a callback takes quadratic time for an object of many objects.
class JsonGuard final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonGuard(const std::string& place) : place_(place) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return begin(); }
  bool end_object() override { return end(); }
  bool start_array(size_t) override { return begin(); }
  bool end_array() override { return end(); }
  bool key(string_t& key) override {
    if (keys_.back().insert(key).second) return true;
    throw Error(place_ + ": expected each key once, got " + describe(key) + " twice");
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) override {
    throw Error(place_ + ": expected JSON: " + error.what());
  }

 private:
  bool begin() {
    keys_.emplace_back();
    if (keys_.size() <= kMaxDepth) return true;
    throw Error(place_ + ": expected at most " + std::to_string(kMaxDepth) + " levels of JSON, found more");
  }
  bool end() {
    keys_.pop_back();
    return true;
  }

  const std::string& place_;
  std::vector<std::unordered_set<std::string>> keys_;  // of the objects that are open, none of the lists
};

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& place) {
  JsonGuard guard(place);
  nlohmann::json::sax_parse(text.begin(), text.end(), &guard);
  try {
    return nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& error) {
    throw Error(place + ": expected JSON: " + error.what());
  }
}

std::string describe(const nlohmann::json& value) {
  constexpr size_t kMaxLength = 60;
  if (value.is_object()) return "an object";
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
  if (text.size() > kMaxLength) text = text.substr(0, kMaxLength) + "..";
  return text;
}

int64_t to_integer(const nlohmann::json& value, IntegerRange range, const std::string& place) {
  const bool is_huge =
      value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()};
  if (!value.is_number_integer() || is_huge || value.get<int64_t>() < range.min || value.get<int64_t>() > range.max) {
    throw Error(place + ": expected an integer from " + std::to_string(range.min) + " to " + std::to_string(range.max) +
                ", got " + describe(value));
  }
  return value.get<int64_t>();
}

JsonObject::JsonObject(const nlohmann::json& value, std::string place) : value_(value), place_(std::move(place)) {
  if (!value.is_object()) throw Error(place_ + ": expected an object, got " + describe(value));
}

bool JsonObject::has(const char* key) const {
  const auto member = value_.find(key);
  return member != value_.end() && !member->is_null();
}

bool JsonObject::is_null(const char* key) const {
  const auto member = value_.find(key);
  return member != value_.end() && member->is_null();
}

const nlohmann::json& JsonObject::at(const char* key) const {
  const auto member = value_.find(key);
  if (member == value_.end()) throw Error(place_of(key) + ": missing field");
  return *member;
}

std::string JsonObject::place_of(std::string_view key) const { return place_ + ": " + std::string(key); }

Error JsonObject::unexpected(const char* key, const std::string& expected) const {
  return Error(place_of(key) + ": expected " + expected + ", got " + describe(at(key)));
}

int64_t JsonObject::integer(const char* key, IntegerRange range) const {
  return to_integer(at(key), range, place_of(key));
}

int64_t JsonObject::integer_or(const char* key, IntegerRange range, int64_t fallback) const {
  return has(key) ? integer(key, range) : fallback;
}

double JsonObject::positive_number(const char* key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_number() || !(value.get<double>() > 0)) throw unexpected(key, "a positive number");
  return value.get<double>();
}

bool JsonObject::boolean_or(const char* key, bool fallback) const {
  if (!has(key)) return fallback;
  if (!at(key).is_boolean()) throw unexpected(key, "true or false");
  return at(key).get<bool>();
}

std::string JsonObject::string(const char* key) const {
  if (!at(key).is_string()) throw unexpected(key, "a string");
  return at(key).get<std::string>();
}

}  // namespace prm_score
