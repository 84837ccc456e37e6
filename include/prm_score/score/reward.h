// reward.h - one number per document from its chunks' log-odds.
#pragma once

#include <optional>
#include <span>

#include "prm_score/text/chunk.h"
#include "prm_score/text/prompt.h"

namespace prm_score {

// Arithmetic mean in nats of the `log_odds` that are there, accumulated in double in chunk order; with
// LastChunk::kWeight each counts by its chunk's length: sum(length * log_odds) / sum(length). `log_odds` and `chunks`
// have one entry per chunk; nullopt = skipped or dropped. Nullopt if none is left. Pure.
[[nodiscard]] std::optional<double> mean_log_odds(std::span<const std::optional<float>> log_odds,
                                                  std::span<const Chunk> chunks, LastChunk last_chunk);

}  // namespace prm_score
