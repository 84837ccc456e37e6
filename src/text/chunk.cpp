#include "prm_score/text/chunk.h"

#include <algorithm>
#include <string>

#include "prm_score/error.h"

namespace prm_score {

std::vector<Chunk> split_into_chunks(int64_t num_tokens, const ChunkOptions& options) {
  const auto [chunk_size, stride] = options;
  if (num_tokens < 0) throw Error("num_tokens: expected at least 0, got " + std::to_string(num_tokens));
  if (chunk_size < 1) throw Error("chunk_size: expected at least 1, got " + std::to_string(chunk_size));
  if (stride < 1 || stride > chunk_size) {
    throw Error("stride: expected 1 to chunk size " + std::to_string(chunk_size) + ", got " + std::to_string(stride));
  }

  std::vector<Chunk> chunks;
  for (int64_t begin = 0; begin < num_tokens; begin += stride) {
    // Not `begin + chunk_size`: a huge chunk size would overflow.
    const int64_t end = begin + std::min(chunk_size, num_tokens - begin);
    chunks.push_back({.begin = begin, .end = end});
    if (end == num_tokens) break;
  }
  return chunks;
}

}  // namespace prm_score
