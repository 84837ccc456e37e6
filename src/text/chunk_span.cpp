#include "prm_score/text/chunk_span.h"

#include <algorithm>
#include <cassert>

namespace prm_score {
namespace {

// Counts code points up to byte positions that never go back.
class CodePointCounter {
 public:
  explicit CodePointCounter(std::string_view text) : text_(text) {}

  int64_t count_before(int64_t byte) {
    assert(byte >= byte_);
    for (; byte_ < byte; ++byte_) {
      const bool is_continuation = (static_cast<unsigned char>(text_[byte_]) & 0xC0) == 0x80;
      if (!is_continuation) ++count_;
    }
    return count_;
  }

 private:
  std::string_view text_;
  int64_t byte_ = 0;
  int64_t count_ = 0;
};

}  // namespace

std::vector<ChunkSpan> chunk_spans(std::string_view text, std::span<const ByteRange> sources,
                                   std::span<const Chunk> chunks) {
  const auto num_tokens = static_cast<int64_t>(sources.size());
  CodePointCounter begins(text), ends(text);
  std::vector<ChunkSpan> spans;
  spans.reserve(chunks.size());
  for (const Chunk& chunk : chunks) {
    ChunkSpan span{.token_begin = chunk.begin, .token_end = chunk.end};
    span.byte_begin = chunk.begin == 0 ? 0 : sources[chunk.begin].begin;
    // Up to the next token: what lies between them belongs to the token before.
    span.byte_end = chunk.end == num_tokens ? static_cast<int64_t>(text.size())
                                            : std::max(sources[chunk.end - 1].end, sources[chunk.end].begin);
    span.char_begin = begins.count_before(span.byte_begin);
    span.char_end = ends.count_before(span.byte_end);
    spans.push_back(span);
  }
  return spans;
}

}  // namespace prm_score
