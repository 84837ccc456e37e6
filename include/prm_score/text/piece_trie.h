// piece_trie.h - finds all strings of a fixed set that a text begins with, byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prm_score {

// Immutable, thread-safe.
class PieceTrie {
 public:
  static constexpr int32_t kNone = -1;

  // `pieces`: distinct strings, not empty, each with its value >= 0.
  explicit PieceTrie(std::vector<std::pair<std::string, int32_t>> pieces);

  // The node of the empty string.
  static constexpr uint32_t kRoot = 0;

  // Moves `node` on by one byte. False if no piece goes on that way; `node` is then unchanged.
  [[nodiscard]] bool advance(uint32_t& node, char byte) const;

  // The value of the piece that ends at `node`, or kNone.
  [[nodiscard]] int32_t value(uint32_t node) const { return nodes_[node].value; }

  // Length in bytes of the longest piece that `text` begins with; 0 if there is none.
  [[nodiscard]] size_t longest_match(std::string_view text) const;

 private:
  struct Node {
    uint32_t children_begin = 0;  // into nodes_; children are neighbours, ascending by byte
    uint16_t num_children = 0;
    uint8_t byte = 0;  // that leads here
    int32_t value = kNone;
  };

  std::vector<Node> nodes_;
};

}  // namespace prm_score
