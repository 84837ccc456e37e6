#include "json_field.h"

#include <limits>

namespace prm_score {
namespace {

const nlohmann::json kNull;

std::string describe(const nlohmann::json& value) {
  constexpr size_t kMaxBytes = 80;
  if (value.is_null()) return "null or nothing";
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true);
  if (text.size() > kMaxBytes) text = text.substr(0, kMaxBytes) + "..";
  return text;
}

}  // namespace

JsonField JsonField::operator[](std::string_view key) const {
  if (!value_->is_object()) throw Error(message("an object"));
  const auto member = value_->find(std::string(key));
  const bool is_top = place_.ends_with(": ");
  return {member == value_->end() ? &kNull : &*member, place_ + (is_top ? "" : ".") + std::string(key)};
}

JsonField JsonField::operator[](size_t index) const {
  if (index >= array_size()) throw Error(message("an element " + std::to_string(index)));
  return {&(*value_)[index], place_ + "[" + std::to_string(index) + "]"};
}

size_t JsonField::array_size() const {
  if (!value_->is_array()) throw Error(message("an array"));
  return value_->size();
}

bool JsonField::as_bool() const {
  if (!value_->is_boolean()) throw Error(message("true or false"));
  return value_->get<bool>();
}

int64_t JsonField::as_id() const {
  constexpr uint64_t kMax = std::numeric_limits<int32_t>::max();
  if (!value_->is_number_unsigned() || value_->get<uint64_t>() > kMax) throw Error(message("an id of 0 or more"));
  return static_cast<int64_t>(value_->get<uint64_t>());
}

const std::string& JsonField::as_string() const {
  if (!value_->is_string()) throw Error(message("a string"));
  return value_->get_ref<const std::string&>();
}

std::string JsonField::message(std::string_view expected) const {
  return place() + ": expected " + std::string(expected) + ", got " + describe(*value_);
}

std::string JsonField::place() const { return place_.ends_with(": ") ? place_.substr(0, place_.size() - 2) : place_; }

}  // namespace prm_score
