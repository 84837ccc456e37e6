#include "option_values.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <system_error>

#include "prm_score/io/json_line.h"

namespace prm_score {

bool set_integer(int64_t& target, std::string_view text, int64_t min, int64_t max) {
  int64_t number = 0;
  const char* text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), text_end, number);
  if (error != std::errc() || end != text_end || number < min || number > max) return false;
  target = number;
  return true;
}

bool set_integer(std::optional<int64_t>& target, std::string_view text, int64_t min) {
  int64_t number = 0;
  if (!set_integer(number, text, min)) return false;
  target = number;
  return true;
}

bool set_integer(int& target, std::string_view text, int min, int max) {
  int64_t number = 0;
  if (!set_integer(number, text, int64_t{min}, int64_t{max})) return false;
  target = static_cast<int>(number);
  return true;
}

bool set_tolerance(std::optional<double>& target, std::string_view text) {
  double number = 0;
  const char* text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), text_end, number);
  if (error != std::errc() || end != text_end || !std::isfinite(number) || number < 0) return false;
  target = number;
  return true;
}

bool set_bytes(int64_t& target, std::string_view text) {
  const size_t suffix = text.empty() ? std::string_view::npos : std::string_view("KMG").find(text.back());
  const int shift = suffix == std::string_view::npos ? 0 : 10 * (static_cast<int>(suffix) + 1);
  if (shift > 0) text.remove_suffix(1);
  int64_t number = 0;
  if (!set_integer(number, text, 1, (int64_t{1} << 40) >> shift)) return false;
  target = number << shift;
  return true;
}

bool set_flag(bool& target, std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool is_true = lower == "1" || lower == "true" || lower == "yes" || lower == "on";
  const bool is_false = lower == "0" || lower == "false" || lower == "no" || lower == "off";
  if (is_true || is_false) target = is_true;
  return is_true || is_false;
}

bool set_name(std::string& target, std::string_view text) {
  target = text;
  return !text.empty();
}

bool set_names(std::vector<std::string>& target, std::string_view text) {
  target = {""};
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_escaped = text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',';
    if (text[i] == ',') {
      target.emplace_back();
    } else {
      target.back() += text[is_escaped ? ++i : i];
    }
  }
  return std::ranges::none_of(target, &std::string::empty);
}

bool set_pair(std::string& first, std::string& second, std::string_view text) {
  const size_t comma = text.find(',');
  if (comma == std::string_view::npos || text.find(',', comma + 1) != std::string_view::npos) return false;
  first = text.substr(0, comma);
  second = text.substr(comma + 1);
  return !first.empty() && !second.empty() && first != second;
}

bool set_device(std::string& target, std::string_view text) {
  target = text;
  if (text == "auto" || text == "cuda" || text == "cuda:all") return true;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view name = text.substr(begin, end - begin);
    int index = 0;
    if (name != "cpu" && !(name.starts_with("cuda:") && set_integer(index, name.substr(5), 0, 127))) return false;
    begin = end + 1;
  }
  return true;
}

bool set_shard(std::optional<int64_t>& number, bool& is_auto, std::string_view text) {
  is_auto = text == "auto";
  return is_auto || set_integer(number, text, 0);
}

std::string json_of(bool value) { return value ? "true" : "false"; }
std::string json_of(int64_t value) { return std::to_string(value); }
std::string json_of(const std::string& value) { return to_json_string(value); }
std::string json_of(const std::optional<int64_t>& value) { return value ? json_of(*value) : "null"; }

std::string json_of(const std::optional<double>& value) {
  if (!value) return "null";
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof(digits), *value).ptr};
}

std::string json_of(const std::optional<std::string>& value) { return value ? json_of(*value) : "null"; }

std::string json_of(const std::vector<std::string>& values) {
  std::string json = "[";
  for (const auto& value : values) json.append(json.size() > 1 ? "," : "").append(json_of(value));
  return json + "]";
}

}  // namespace prm_score
