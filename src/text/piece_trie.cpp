#include "prm_score/text/piece_trie.h"

#include <algorithm>

namespace prm_score {

PieceTrie::PieceTrie(std::vector<std::pair<std::string, int32_t>> pieces) {
  std::ranges::sort(pieces);
  // Sorted, the pieces below a node are neighbours: [begin, end), their first `depth` bytes being the node's string.
  struct Span {
    size_t begin, end, depth;
  };
  std::vector<Span> spans = {{.begin = 0, .end = pieces.size(), .depth = 0}};
  nodes_.emplace_back();
  for (size_t node = 0; node < nodes_.size(); ++node) {
    auto [begin, end, depth] = spans[node];
    if (begin < end && pieces[begin].first.size() == depth) nodes_[node].value = pieces[begin++].second;
    nodes_[node].children_begin = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      const char byte = pieces[begin].first[depth];
      size_t child_end = begin;
      while (child_end < end && pieces[child_end].first[depth] == byte) ++child_end;
      spans.push_back({.begin = begin, .end = child_end, .depth = depth + 1});
      nodes_.push_back({.byte = static_cast<uint8_t>(byte)});
      ++nodes_[node].num_children;
      begin = child_end;
    }
  }
}

bool PieceTrie::advance(uint32_t& node, char byte) const {
  const auto begin = nodes_.begin() + nodes_[node].children_begin;
  const auto end = begin + nodes_[node].num_children;
  const auto child = std::lower_bound(begin, end, static_cast<uint8_t>(byte),
                                      [](const Node& left, uint8_t right) { return left.byte < right; });
  if (child == end || child->byte != static_cast<uint8_t>(byte)) return false;
  node = static_cast<uint32_t>(child - nodes_.begin());
  return true;
}

size_t PieceTrie::longest_match(std::string_view text) const {
  size_t longest = 0;
  uint32_t node = kRoot;
  for (size_t i = 0; i < text.size() && advance(node, text[i]); ++i) {
    if (value(node) != kNone) longest = i + 1;
  }
  return longest;
}

}  // namespace prm_score
