// chunk_span.h - where the chunks of a document lie in its text.
//
// A character that a chunk border cuts is in both chunks. Characters that no id stands for (the normaliser dropped
// them) go to the chunk of the token before, leading ones to the first chunk: without cut characters and overlapping
// windows the ranges join without gap and cover the text.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "prm_score/text/chunk.h"
#include "prm_score/text/document.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

// `sources`: one byte range of `text` per token, as Tokenizer::encode_with_sources gives them. Linear time.
[[nodiscard]] std::vector<ChunkSpan> chunk_spans(std::string_view text, std::span<const ByteRange> sources,
                                                 std::span<const Chunk> chunks);

}  // namespace prm_score
