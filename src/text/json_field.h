// json_field.h - a value inside a JSON file that knows its place, for errors that name file, field, expected and found.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"

namespace prm_score {

// Refers to a parsed document, which must outlive it.
class JsonField {
 public:
  JsonField(const nlohmann::json& document, std::string_view file_name)
      : value_(&document), place_(std::string(file_name) + ": ") {}

  // Member or element; a missing one is null, as the formats read here have it. Throws Error if this is no object.
  [[nodiscard]] JsonField operator[](std::string_view key) const;
  [[nodiscard]] JsonField operator[](size_t index) const;

  // The number of elements. Throws Error if this is no array.
  [[nodiscard]] size_t array_size() const;

  [[nodiscard]] bool is_null() const { return value_->is_null(); }
  [[nodiscard]] bool is_object() const { return value_->is_object(); }
  [[nodiscard]] bool is_string() const { return value_->is_string(); }
  [[nodiscard]] bool is_string(std::string_view text) const { return is_string() && as_string() == text; }

  // The value. Throws Error if it is of another type.
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] int64_t as_id() const;  // 0 to 2^31 - 1
  [[nodiscard]] const std::string& as_string() const;

  // `file: field: expected .., got ..`
  [[nodiscard]] std::string message(std::string_view expected) const;

  // `file: field`
  [[nodiscard]] std::string place() const;

 private:
  JsonField(const nlohmann::json* value, std::string place) : value_(value), place_(std::move(place)) {}

  const nlohmann::json* value_;
  std::string place_;  // `file: ` then `a.b[0].c`
};

}  // namespace prm_score
