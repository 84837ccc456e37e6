#include "prm_score/text/code_point_set.h"

#include <algorithm>
#include <cstdint>
#include <span>

#include "unicode_tables.h"

namespace prm_score {
namespace {

constexpr char32_t kEnd = kMaxCodePoint + 1;

// Bounds of the code points whose value in a run table (unicode_tables.h) is wanted.
template <typename Wanted>
std::vector<char32_t> bounds_of_runs(std::span<const uint32_t> runs, const Wanted& wanted) {
  std::vector<char32_t> bounds;
  for (const uint32_t run : runs) {
    const bool is_inside = bounds.size() % 2 == 1;
    if (wanted(run & 0xFF) != is_inside) bounds.push_back(run >> 8);
  }
  if (bounds.size() % 2 == 1) bounds.push_back(kEnd);
  return bounds;
}

}  // namespace

CodePointSet CodePointSet::range(char32_t first, char32_t last) {
  CodePointSet set;
  set.bounds_ = {first, last + 1};
  return set;
}

CodePointSet CodePointSet::white_space() {
  CodePointSet set;
  set.bounds_ = bounds_of_runs(unicode_tables::white_space_runs(), [](uint32_t value) { return value == 1; });
  return set;
}

CodePointSet CodePointSet::word() {
  CodePointSet set;
  set.bounds_ = bounds_of_runs(unicode_tables::word_runs(), [](uint32_t value) { return value == 1; });
  return set;
}

std::optional<CodePointSet> CodePointSet::general_category(std::string_view name) {
  const auto is_member = [name](std::string_view category) {
    return name == category || (name.size() == 1 && category.starts_with(name));
  };
  if (!std::ranges::any_of(unicode_tables::kCategoryNames, is_member)) return std::nullopt;

  CodePointSet set;
  set.bounds_ = bounds_of_runs(unicode_tables::category_runs(),
                               [&](uint32_t value) { return is_member(unicode_tables::kCategoryNames[value]); });
  return set;
}

CodePointSet CodePointSet::complement() const {
  CodePointSet result;
  result.bounds_.reserve(bounds_.size() + 2);
  const bool has_first = !bounds_.empty() && bounds_.front() == 0;
  const bool has_last = !bounds_.empty() && bounds_.back() == kEnd;
  if (!has_first) result.bounds_.push_back(0);
  result.bounds_.insert(result.bounds_.end(), bounds_.begin() + (has_first ? 1 : 0),
                        bounds_.end() - (has_last ? 1 : 0));
  if (!has_last) result.bounds_.push_back(kEnd);
  return result;
}

void CodePointSet::insert(const CodePointSet& other) {
  std::vector<char32_t> merged;
  size_t i = 0, j = 0;
  bool was_inside = false;
  while (i < bounds_.size() || j < other.bounds_.size()) {
    const char32_t next_i = i < bounds_.size() ? bounds_[i] : kEnd + 1;
    const char32_t next_j = j < other.bounds_.size() ? other.bounds_[j] : kEnd + 1;
    const char32_t bound = std::min(next_i, next_j);
    if (next_i == bound) ++i;
    if (next_j == bound) ++j;
    const bool is_inside = i % 2 == 1 || j % 2 == 1;
    if (is_inside != was_inside) merged.push_back(bound);
    was_inside = is_inside;
  }
  bounds_ = std::move(merged);
}

bool CodePointSet::contains(char32_t code_point) const {
  return (std::ranges::upper_bound(bounds_, code_point) - bounds_.begin()) % 2 == 1;
}

}  // namespace prm_score
