#include "prm_score/text/bpe_model.h"

#include <algorithm>
#include <cassert>
#include <functional>

namespace prm_score {
namespace {

constexpr size_t kShortWordBytes = 48;             // up to here a plain loop beats a heap
constexpr size_t kBlockBytes = size_t{32} * 1024;  // of a long word that are merged in one go: fits the level 2 cache
constexpr size_t kSeamBytes = size_t{2} * 1024;    // at the end of a part that are merged again with the next

uint64_t pair_key(TokenId left, TokenId right) {
  return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
}

size_t hash_pair(uint64_t pair, int shift) { return static_cast<size_t>((pair * 0x9E3779B97F4A7C15u) >> shift); }

}  // namespace

// Working memory of merge_long: a linked list of symbols and a heap of the pairs that may merge.
struct BpeModel::Scratch {
  static constexpr uint32_t kNone = ~uint32_t{0};
  struct Symbol {
    TokenId id = 0;
    uint32_t previous = kNone;
    uint32_t next = kNone;
  };
  std::vector<Symbol> symbols;  // id kNotFound: merged into the one before
  std::vector<uint64_t> heap;   // rank << 32 | position of the left one; least first
};

BpeModel::BpeModel(TokenTable tokens, std::span<const BpeMerge> merges, bool ignore_merges)
    : tokens_(std::move(tokens)), ignore_merges_(ignore_merges) {
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const char c = static_cast<char>(byte);
    byte_ids_[byte] = tokens_.find({&c, 1});
    knows_all_bytes_ = knows_all_bytes_ && byte_ids_[byte] != TokenTable::kNotFound;
  }
  int bits = 4;
  while ((size_t{1} << bits) < 3 * merges.size() / 2) ++bits;  // at most two thirds full
  merges_.resize(size_t{1} << bits);
  merges_shift_ = 64 - bits;
  for (size_t rank = 0; rank < merges.size(); ++rank) add_merge(merges[rank], static_cast<uint32_t>(rank));
  self_encoding_ = std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(tokens_.end_id()));
}

void BpeModel::add_merge(const BpeMerge& merge, uint32_t rank) {
  const uint64_t pair = pair_key(merge.left, merge.right);
  size_t i = hash_pair(pair, merges_shift_);
  while (merges_[i].pair != kNoPair && merges_[i].pair != pair) i = (i + 1) & (merges_.size() - 1);
  merges_[i] = {pair, rank, merge.merged};
}

const BpeModel::Merge* BpeModel::find_merge(TokenId left, TokenId right) const {
  const uint64_t pair = pair_key(left, right);
  for (size_t i = hash_pair(pair, merges_shift_);; i = (i + 1) & (merges_.size() - 1)) {
    if (merges_[i].pair == pair) return &merges_[i];
    if (merges_[i].pair == kNoPair) return nullptr;
  }
}

void BpeModel::encode(std::string_view word, std::vector<TokenId>& ids) const {
  if (word.size() <= tokens_.max_token_bytes()) {
    const TokenId id = tokens_.find(word);
    if (id != TokenTable::kNotFound && (ignore_merges_ || encodes_to_itself(id))) {
      ids.push_back(id);
      return;
    }
  }
  if (!knows_all_bytes_) {
    std::string known(word);
    std::erase_if(known, [this](char c) { return !knows_byte(static_cast<unsigned char>(c)); });
    merge_word(known, ids);
  } else if (is_completable(word)) {
    complete(word, ids.size(), ids);
  } else {
    merge_word(word, ids);
  }
}

bool BpeModel::is_completable(std::string_view word) const {
  return knows_all_bytes_ && word.size() > std::max(kLongWordBytes, tokens_.max_token_bytes());
}

void BpeModel::complete(std::string_view word, size_t first, std::vector<TokenId>& ids) const {
  assert(is_completable(word));
  size_t done = 0;
  for (size_t i = first; i < ids.size(); ++i) done += tokens_.bytes(ids[i]).size();
  std::vector<TokenId> part;
  for (size_t seam_bytes = kSeamBytes; part.empty() || done < word.size();) {
    const size_t old_done = done;
    while (ids.size() > first && old_done - done < seam_bytes) {
      done -= tokens_.bytes(ids.back()).size();
      ids.pop_back();
    }
    const size_t part_bytes = std::min(word.size() - done, kBlockBytes + seam_bytes);
    part.clear();
    merge_word(word.substr(done, part_bytes), part);
    if (ids.size() > first && !is_right_pair(ids.back(), part.front())) {
      seam_bytes *= 2;  // what comes after is felt further back
      continue;
    }
    ids.insert(ids.end(), part.begin(), part.end());
    done += part_bytes;
    seam_bytes = kSeamBytes;
  }
}

bool BpeModel::encodes_to_itself(TokenId id) const {
  std::atomic<uint8_t>& known = self_encoding_[static_cast<size_t>(id)];
  uint8_t answer = known.load(std::memory_order_relaxed);
  if (answer == 0) {
    std::string word(tokens_.bytes(id));
    if (!knows_all_bytes_) std::erase_if(word, [this](char c) { return !knows_byte(static_cast<unsigned char>(c)); });
    std::vector<TokenId> ids;
    merge_word(word, ids);
    answer = ids.size() == 1 && ids[0] == id ? 1 : 2;
    known.store(answer, std::memory_order_relaxed);
  }
  return answer == 1;
}

bool BpeModel::is_right_pair(TokenId left, TokenId right) const {
  std::vector<TokenId> ids;
  merge_word(std::string(tokens_.bytes(left)).append(tokens_.bytes(right)), ids);
  return ids.size() == 2 && ids[0] == left && ids[1] == right;
}

// Bytes of `word` must be known.
void BpeModel::merge_word(std::string_view word, std::vector<TokenId>& ids) const {
  if (word.size() <= kShortWordBytes) {
    merge_short(word, ids);
  } else {
    merge_long(word, ids);
  }
}

void BpeModel::merge_short(std::string_view word, std::vector<TokenId>& ids) const {
  constexpr uint32_t kNoMerge = ~uint32_t{0};
  struct Symbol {
    TokenId id;
    uint32_t rank;   // of the pair it forms with the next one
    TokenId merged;  // what that pair becomes
  };
  std::array<Symbol, kShortWordBytes> symbols;
  size_t num_symbols = word.size();
  const auto look_up_pair = [&](size_t i) {
    const Merge* merge = i + 1 < num_symbols ? find_merge(symbols[i].id, symbols[i + 1].id) : nullptr;
    symbols[i].rank = merge ? merge->rank : kNoMerge;
    symbols[i].merged = merge ? merge->merged : 0;
  };
  for (size_t i = 0; i < num_symbols; ++i) symbols[i].id = byte_ids_[static_cast<unsigned char>(word[i])];
  for (size_t i = 0; i < num_symbols; ++i) look_up_pair(i);
  while (num_symbols > 1) {
    size_t best = 0;
    for (size_t i = 1; i < num_symbols; ++i) best = symbols[i].rank < symbols[best].rank ? i : best;
    if (symbols[best].rank == kNoMerge) break;
    symbols[best].id = symbols[best].merged;
    std::copy(symbols.begin() + best + 2, symbols.begin() + num_symbols, symbols.begin() + best + 1);
    --num_symbols;
    look_up_pair(best);
    if (best > 0) look_up_pair(best - 1);
  }
  for (size_t i = 0; i < num_symbols; ++i) ids.push_back(symbols[i].id);
}

void BpeModel::merge_long(std::string_view word, std::vector<TokenId>& ids) const {
  thread_local Scratch scratch;
  auto& symbols = scratch.symbols;
  const auto num_symbols = static_cast<uint32_t>(word.size());
  symbols.resize(num_symbols);
  scratch.heap.clear();
  for (uint32_t i = 0; i < num_symbols; ++i) {
    symbols[i] = {byte_ids_[static_cast<unsigned char>(word[i])], i == 0 ? Scratch::kNone : i - 1,
                  i + 1 == num_symbols ? Scratch::kNone : i + 1};
  }
  for (uint32_t i = 0; i < num_symbols; ++i) push_pair(scratch, i);
  while (!scratch.heap.empty()) {
    std::pop_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
    const uint64_t top = scratch.heap.back();
    scratch.heap.pop_back();
    Scratch::Symbol& left = symbols[top & 0xFFFFFFFF];
    if (left.id == TokenTable::kNotFound || left.next == Scratch::kNone) continue;
    const Merge* merge = find_merge(left.id, symbols[left.next].id);
    if (!merge || merge->rank != top >> 32) continue;  // one of the two has merged with another since
    Scratch::Symbol& right = symbols[left.next];
    left.id = merge->merged;
    left.next = right.next;
    right.id = TokenTable::kNotFound;
    if (left.next != Scratch::kNone) symbols[left.next].previous = static_cast<uint32_t>(top);
    push_pair(scratch, static_cast<uint32_t>(top));
    if (left.previous != Scratch::kNone) push_pair(scratch, left.previous);
  }
  for (const Scratch::Symbol& symbol : symbols) {
    if (symbol.id != TokenTable::kNotFound) ids.push_back(symbol.id);
  }
}

void BpeModel::push_pair(Scratch& scratch, uint32_t left) const {
  const Scratch::Symbol& symbol = scratch.symbols[left];
  if (symbol.next == Scratch::kNone) return;
  const Merge* merge = find_merge(symbol.id, scratch.symbols[symbol.next].id);
  if (!merge) return;
  scratch.heap.push_back((uint64_t{merge->rank} << 32) | left);
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
}

}  // namespace prm_score
