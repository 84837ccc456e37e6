// prompt.h - the prompts that the judge sees for one document, one per chunk.
//
//   {context}                  context field + decode(ids before the chunk)       BOS, if any, stands before it
//                              (two newlines, also for an empty context)
//   <<JUDGEMENT_REGION>>
//   {chunk}                    decode(ids of the chunk)
//   <</JUDGEMENT_REGION>>
//
//   <<JUDGEMENT>>              the judge's A or B is read here, at the last position
//
// `Join::kText` tokenises this as one string, so tokens may merge over the joints; `Join::kTokens` joins ids. A chunk
// border may cut a character; both sides then show U+FFFD in its place (tokenizer.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/text/chunk.h"
#include "prm_score/text/document.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

inline constexpr std::string_view kTemplateBeforeChunk = "\n\n<<JUDGEMENT_REGION>>\n";
inline constexpr std::string_view kTemplateAfterChunk = "\n<</JUDGEMENT_REGION>>\n\n<<JUDGEMENT>>";

enum class Join { kText, kTokens };
enum class FirstChunk { kScore, kSkip };
enum class LastChunk { kScore, kDrop, kWeight };

// The options that move the score (besides labels and dtype); all are written to the metadata.
struct PromptOptions {
  ChunkOptions chunking;
  FirstChunk first_chunk = FirstChunk::kScore;
  LastChunk last_chunk = LastChunk::kScore;
  Join join = Join::kText;
  std::optional<int64_t> max_context = std::nullopt;  // tokens; default_max_context() if not given
};

// The largest context that leaves room for chunk and template within `max_positions` tokens, in whole chunks:
// max_positions - chunk_size - tokens of both template pieces and BOS - 16, rounded down, at least 0.
[[nodiscard]] int64_t default_max_context(const Tokenizer& tokenizer, int64_t chunk_size, int64_t max_positions);

// SHA-256 in hex of the template as drawn above with `{context}` and `{chunk}` literally, for metadata and
// fingerprints.
[[nodiscard]] std::string template_sha256();

// SHA-256 in hex of `ids` in decimal, separated by commas: of "32,1044,7", say.
[[nodiscard]] std::string ids_sha256(std::span<const TokenId> ids);

// The context side of the prompts that share one start of the context.
struct PromptTrunk {
  std::vector<TokenId> ids;  // BOS if any + the longest context's ids, under the join mode
  std::string text;          // the longest context; empty unless asked for
};

// One chunk's prompt: input_ids = trunks[trunk].ids[0, num_shared) + rest.
struct Prompt {
  int64_t chunk = 0;       // index into DocumentPrompts::chunks
  int64_t trunk = 0;       // index into DocumentPrompts::trunks
  int64_t num_shared = 0;  // leading ids in common with its trunk, as far as known without comparing; BOS included
  std::vector<TokenId> rest;
  int64_t num_shared_bytes = 0;  // the prompt as text = trunk.text[0, num_shared_bytes) + rest_text; both empty unless
  std::string rest_text;         // asked for. BOS has no text
};

// A document, tokenised, cut and put into prompts.
struct DocumentPrompts {
  int64_t num_tokens = 0;           // of the text
  std::vector<Chunk> chunks;        // every chunk, skipped and dropped ones too
  std::vector<PromptTrunk> trunks;  // one per move of the context's start
  std::vector<Prompt> prompts;      // of the chunks to be scored, in order
  std::vector<ChunkSpan> spans;     // [num chunks] if asked for, else empty
  DocumentWarnings warnings;
  std::string ids_sha256;  // of the text's ids if asked for, else empty
  std::string error;       // why the document cannot be scored; empty if it can. `prompts` is then of no use

  [[nodiscard]] std::vector<TokenId> input_ids(const Prompt& prompt) const;
  [[nodiscard]] std::string text(const Prompt& prompt) const;
};

// Thread-safe; holds a reference to the tokenizer, which must outlive it.
class PromptBuilder {
 public:
  // `max_positions`: the longest prompt the judge can take, in tokens. Throws Error if an option is out of range.
  PromptBuilder(const Tokenizer& tokenizer, const PromptOptions& options, int64_t max_positions);

  // `PromptOptions::max_context` resolved.
  [[nodiscard]] int64_t max_context() const { return max_context_; }

  struct Extras {
    bool spans = false;
    bool prompt_texts = false;
    bool ids_sha256 = false;
    const std::atomic<bool>* stop = nullptr;  // once set, what is not done yet is given up: an `error` that nobody sees
  };
  // Throws nothing for a document: what the tokenizer throws for its texts becomes its `error`. Time is linear in the
  // document where the tokenizer's trunk is (tokenizer.h); memory is linear always.
  [[nodiscard]] DocumentPrompts build(const Document& document, const Extras& extras) const;

 private:
  class SharedContext;
  class Prompter;

  void build(const Document& document, const Extras& extras, DocumentPrompts& result) const;

  const Tokenizer& tokenizer_;
  PromptOptions options_;
  int64_t max_positions_;
  int64_t max_context_;
  std::vector<TokenId> before_chunk_ids_, after_chunk_ids_;  // of the two template pieces, for Join::kTokens
};

}  // namespace prm_score
