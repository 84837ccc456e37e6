#include "prm_score/text/token_table.h"

#include <cstring>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr size_t kFirstNumSlots = 1024;
constexpr size_t kMaxArenaBytes = size_t{1} << 31;

uint64_t mix(uint64_t value) {
  value *= 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio
  return value ^ (value >> 29);
}

// Eight bytes at a time: most words are one step.
uint32_t hash_bytes(std::string_view bytes) {
  uint64_t hash = bytes.size();
  const char* data = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; data += 8, left -= 8) {
    uint64_t block = 0;
    std::memcpy(&block, data, 8);
    hash = mix(hash ^ block);
  }
  uint64_t rest = 0;
  for (size_t i = 0; i < left; ++i) rest |= uint64_t{static_cast<unsigned char>(data[i])} << (8 * i);
  hash = mix(mix(hash ^ rest) + left);
  return static_cast<uint32_t>(hash >> 32);
}

}  // namespace

void TokenTable::add(std::string_view bytes, TokenId id, bool findable) {
  if (id < 0 || id > kMaxTokenId) {
    throw Error("expected an id from 0 to " + std::to_string(kMaxTokenId) + ", got " + std::to_string(id));
  }
  if (contains(id)) throw Error("id " + std::to_string(id) + " is given to two tokens");
  if (findable && find(bytes) != kNotFound) throw Error("a token is there twice, id " + std::to_string(id));
  if (bytes.size() > kMaxArenaBytes - arena_.size()) throw Error("expected at most 2 GiB of tokens, got more");
  if (id >= end_id()) spans_.resize(static_cast<size_t>(id) + 1);
  spans_[static_cast<size_t>(id)] = {static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(bytes.size())};
  arena_.append(bytes);
  ++num_tokens_;
  max_token_bytes_ = std::max(max_token_bytes_, bytes.size());
  if (!findable) return;
  if (2 * (num_slots_used_ + 1) > slots_.size()) grow();
  insert(hash_bytes(bytes), id);
  ++num_slots_used_;
}

TokenId TokenTable::find(std::string_view bytes) const {
  if (slots_.empty()) return kNotFound;
  const uint32_t hash = hash_bytes(bytes);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask; slots_[i].id != kNotFound; i = (i + 1) & mask) {
    if (slots_[i].hash != hash) continue;
    const Span span = spans_[static_cast<size_t>(slots_[i].id)];
    if (span.num_bytes == bytes.size() && std::memcmp(arena_.data() + span.offset, bytes.data(), bytes.size()) == 0) {
      return slots_[i].id;
    }
  }
  return kNotFound;
}

bool TokenTable::contains(TokenId id) const {
  return id >= 0 && id < end_id() && spans_[static_cast<size_t>(id)].num_bytes != kNoToken;
}

std::string_view TokenTable::bytes(TokenId id) const {
  if (!contains(id)) return {};
  const Span span = spans_[static_cast<size_t>(id)];
  return {arena_.data() + span.offset, span.num_bytes};
}

void TokenTable::shrink_to_fit() {
  arena_.shrink_to_fit();
  spans_.shrink_to_fit();
}

void TokenTable::insert(uint32_t hash, TokenId id) {
  const size_t mask = slots_.size() - 1;
  size_t i = hash & mask;
  while (slots_[i].id != kNotFound) i = (i + 1) & mask;
  slots_[i] = {hash, id};
}

void TokenTable::grow() {
  std::vector<Slot> old(slots_.empty() ? kFirstNumSlots : 2 * slots_.size());
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.id != kNotFound) insert(slot.hash, slot.id);
  }
}

}  // namespace prm_score
