// option_values.h - texts of the command line to values, and values to JSON. Private to option_table.cpp.
//
// A set_.. function returns false, and may leave its target changed, if the text is not such a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prm_score {

inline constexpr int64_t kMaxCount = int64_t{1} << 50;  // leaves room to add and multiply counts

bool set_integer(int64_t& target, std::string_view text, int64_t min, int64_t max = kMaxCount);
bool set_integer(std::optional<int64_t>& target, std::string_view text, int64_t min);
bool set_integer(int& target, std::string_view text, int min, int max);

// A finite number of at least 0: 0.001, 1e-4.
bool set_tolerance(std::optional<double>& target, std::string_view text);

// 4096, 64K, 256M, 2G; K, M, G = 2^10, 2^20, 2^30. At least 1, at most 2^40.
bool set_bytes(int64_t& target, std::string_view text);

// 1, true, yes, on; 0, false, no, off; in any case.
bool set_flag(bool& target, std::string_view text);

// Any text but the empty one.
bool set_name(std::string& target, std::string_view text);

// `a,b,c`, none empty; `\,` is a comma in a name.
bool set_names(std::vector<std::string>& target, std::string_view text);

// `A,B`: two different names, none with a comma.
bool set_pair(std::string& first, std::string& second, std::string_view text);

// auto, cpu, cuda or cuda:N.
bool set_device(std::string& target, std::string_view text);

// auto, or a number >= 0.
bool set_shard(std::optional<int64_t>& number, bool& is_auto, std::string_view text);

// A word of a fixed set, and what it means.
template <typename Value>
struct Choice {
  std::string_view word;
  Value value;
};

template <typename Value, typename Choices>
bool set_choice(Value& target, std::string_view text, const Choices& choices) {
  for (const auto& choice : choices) {
    if (choice.word != text) continue;
    target = choice.value;
    return true;
  }
  return false;
}

std::string json_of(bool value);
std::string json_of(int64_t value);
std::string json_of(const std::string& value);
std::string json_of(const std::optional<int64_t>& value);
std::string json_of(const std::optional<double>& value);
std::string json_of(const std::optional<std::string>& value);
std::string json_of(const std::vector<std::string>& values);

template <typename Value, typename Choices>
std::string json_of_choice(const Value& value, const Choices& choices) {
  for (const auto& choice : choices) {
    if (choice.value == value) return json_of(std::string(choice.word));
  }
  return "null";
}

}  // namespace prm_score
