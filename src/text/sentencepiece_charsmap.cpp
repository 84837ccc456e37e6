#include "prm_score/text/sentencepiece_charsmap.h"

#include <cstring>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr int kMaxNestedRules = 32;
constexpr uint32_t kUnitsPerBlock = 256;

size_t offset(uint32_t unit) { return static_cast<size_t>(unit >> 10) << ((unit & (1U << 9)) >> 6); }
uint32_t label(uint32_t unit) { return unit & (1U << 31 | 0xFF); }
bool ends_rule(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t value(uint32_t unit) { return unit & ~(1U << 31); }

}  // namespace

SentencePieceCharsmap::SentencePieceCharsmap(std::string_view bytes, std::string_view name) {
  const std::string place(name);
  uint32_t trie_bytes = 0;
  if (bytes.size() < sizeof(trie_bytes)) throw Error(place + ": expected a 4-byte size");
  std::memcpy(&trie_bytes, bytes.data(), sizeof(trie_bytes));
  bytes.remove_prefix(sizeof(trie_bytes));
  // Whole blocks: the children of a unit lie in one block, so if the block is there they all are.
  constexpr uint32_t kBlockBytes = kUnitsPerBlock * sizeof(uint32_t);
  if (trie_bytes == 0 || trie_bytes % kBlockBytes != 0 || trie_bytes >= bytes.size()) {
    throw Error(place + ": size of the trie: expected a multiple of 1024 under " + std::to_string(bytes.size()) +
                ", got " + std::to_string(trie_bytes));
  }
  units_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(units_.data(), bytes.data(), trie_bytes);
  replacements_ = bytes.substr(trie_bytes);
  if (replacements_.back() != '\0') throw Error(place + ": expected NUL at the end");
  check_reachable_units(place);
}

// Visits every unit that some text reaches, again if that is by a way with more rules (rules with a common end share
// units).
void SentencePieceCharsmap::check_reachable_units(const std::string& name) const {
  struct Node {
    size_t id;
    int num_rules;  // that end before it
  };
  std::vector<int> most_rules(units_.size(), -1);
  std::vector<Node> open = {{.id = 0, .num_rules = 0}};
  while (!open.empty()) {
    auto [id, num_rules] = open.back();
    open.pop_back();
    const size_t base = id ^ offset(units_[id]);
    if (base >= units_.size()) throw Error(name + ": the trie points outside itself");
    if (id != 0 && ends_rule(units_[id])) {
      ++num_rules;
      if (value(units_[base]) >= replacements_.size()) throw Error(name + ": a rule points outside the replacements");
    }
    if (num_rules > kMaxNestedRules) throw Error(name + ": expected at most 32 rules that begin one another, got more");
    if (num_rules <= most_rules[id]) continue;
    most_rules[id] = num_rules;
    for (size_t byte = 0; byte < kUnitsPerBlock; ++byte) {
      if (label(units_[base ^ byte]) == byte) open.push_back({.id = base ^ byte, .num_rules = num_rules});
    }
  }
}

std::optional<SentencePieceCharsmap::Match> SentencePieceCharsmap::longest_match(std::string_view text) const {
  std::optional<Match> longest;
  if (units_.empty()) return longest;
  size_t base = offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const size_t id = base ^ byte;
    if (label(units_[id]) != byte) break;
    base = id ^ offset(units_[id]);
    if (!ends_rule(units_[id])) continue;
    longest = {.num_bytes = i + 1, .replacement = replacements_.data() + value(units_[base])};
  }
  return longest;
}

}  // namespace prm_score
