// chunk.h - cuts a tokenised document into windows of a fixed number of tokens.
//
//   stride == chunk_size:   0 ....... 63 | 64 ...... 127 | 128 .. 149        every token in exactly one chunk
//   stride <  chunk_size:   0 ............. 63
//                                  32 ............. 95                        sliding window
//                                           64 ............ 127 ..            the last one reaches the end of the text
//
// A border may split a UTF-8 character; text/tokenizer.h says how such a chunk decodes.
#pragma once

#include <cstdint>
#include <vector>

namespace prm_score {

// Half-open token range [begin, end) inside one document.
struct Chunk {
  int64_t begin = 0;
  int64_t end = 0;

  bool operator==(const Chunk&) const = default;
};

struct ChunkOptions {
  int64_t chunk_size = 64;  // tokens, >= 1
  int64_t stride = 64;      // tokens from one window's start to the next one's, 1 <= stride <= chunk_size
};

// Windows start at 0, stride, 2 stride, .. until one reaches the end of the text; only that last one may be shorter
// than `chunk_size`. Empty for num_tokens == 0. Throws Error if num_tokens < 0 or an option is out of range. Pure,
// thread-safe.
[[nodiscard]] std::vector<Chunk> split_into_chunks(int64_t num_tokens, const ChunkOptions& options);

}  // namespace prm_score
