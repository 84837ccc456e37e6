// json_fields.h - members of a JSON object, each with its type and range checked. Private to the model layer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"

namespace prm_score {

// Strict: no comments, no trailing text, no duplicate keys, at most 32 levels deep. Throws Error that starts with
// `place`.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, const std::string& place);

// What stands there, short enough for a message: `[1, 2]`, `"abc.."`.
[[nodiscard]] std::string describe(const nlohmann::json& value);

struct IntegerRange {
  int64_t min = 0;
  int64_t max = 0;
};

// Throws Error `{place}: expected an integer from 1 to 9, got 2.5`. A number with a fraction or exponent is no integer.
[[nodiscard]] int64_t to_integer(const nlohmann::json& value, IntegerRange range, const std::string& place);

// A JSON object and its place in messages. A member that is null counts as absent, as in the reference. Accessors
// without a default throw Error if the member is absent; all throw if it has another type or is out of range.
class JsonObject {
 public:
  // Throws Error if `value` is not an object.
  JsonObject(const nlohmann::json& value, std::string place);

  [[nodiscard]] bool has(const char* key) const;
  [[nodiscard]] bool is_null(const char* key) const;  // there, but null
  [[nodiscard]] const nlohmann::json& at(const char* key) const;
  [[nodiscard]] std::string place_of(std::string_view key) const;
  // The error to throw: `{place}: {key}: expected {expected}, got ..`.
  [[nodiscard]] Error unexpected(const char* key, const std::string& expected) const;

  [[nodiscard]] int64_t integer(const char* key, IntegerRange range) const;
  [[nodiscard]] int64_t integer_or(const char* key, IntegerRange range, int64_t fallback) const;
  [[nodiscard]] double positive_number(const char* key) const;
  [[nodiscard]] bool boolean_or(const char* key, bool fallback) const;
  [[nodiscard]] std::string string(const char* key) const;

 private:
  const nlohmann::json& value_;
  std::string place_;
};

}  // namespace prm_score
