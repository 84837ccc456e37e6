#include "prm_score/text/prompt.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <utility>

#include "prm_score/error.h"
#include "prm_score/text/chunk_span.h"
#include "prm_score/text/context_window.h"
#include "prm_score/text/sha256.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

constexpr int64_t kSpareTokens = 16;  // joined text may take a few tokens more than its parts

// What the document must not contain if it is to be judged rather than to talk to the judge.
constexpr std::array<std::string_view, 3> kTemplateMarkers = {"<<JUDGEMENT_REGION>>", "<</JUDGEMENT_REGION>>",
                                                              "<<JUDGEMENT>>"};

bool contains_template_marker(std::string_view text) {
  return std::any_of(kTemplateMarkers.begin(), kTemplateMarkers.end(),
                     [&](std::string_view marker) { return text.find(marker) != std::string_view::npos; });
}

void append(std::vector<TokenId>& ids, std::span<const TokenId> more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

// Which chunks get a prompt. A single short chunk is both the first and the last.
bool is_scored(const PromptOptions& options, std::span<const Chunk> chunks, int64_t index) {
  const bool is_last = index + 1 == std::ssize(chunks);
  const bool is_short = chunks[index].end - chunks[index].begin < options.chunking.chunk_size;
  if (index == 0 && options.first_chunk == FirstChunk::kSkip) return false;
  return !(is_last && is_short && options.last_chunk == LastChunk::kDrop);
}

}  // namespace

int64_t default_max_context(const Tokenizer& tokenizer, int64_t chunk_size, int64_t max_positions) {
  const int64_t template_tokens = std::ssize(tokenizer.encode(kTemplateBeforeChunk)) +
                                  std::ssize(tokenizer.encode(kTemplateAfterChunk)) + (tokenizer.bos_id() ? 1 : 0);
  // One by one, since a chunk size near the largest integer must not overflow.
  const int64_t room = max_positions - template_tokens - kSpareTokens;
  if (room <= chunk_size) return 0;
  return (room - chunk_size) / chunk_size * chunk_size;
}

std::string template_sha256() {
  return sha256_hex("{context}" + std::string(kTemplateBeforeChunk) + "{chunk}" + std::string(kTemplateAfterChunk));
}

std::vector<TokenId> DocumentPrompts::input_ids(const Prompt& prompt) const {
  const auto& trunk_ids = trunks[prompt.trunk].ids;
  std::vector<TokenId> ids(trunk_ids.begin(), trunk_ids.begin() + prompt.num_shared);
  append(ids, prompt.rest);
  return ids;
}

std::string DocumentPrompts::text(const Prompt& prompt) const {
  return trunks[prompt.trunk].text.substr(0, prompt.num_shared_bytes) + prompt.rest_text;
}

// What several prompts have in front of their chunks: one begin of the context, tokenised once.
class PromptBuilder::SharedContext {
 public:
  // The contexts are field + decode(ids[0:n]) for every n in `lengths` (ascending).
  struct Parts {
    std::string field_text;
    std::span<const TokenId> field_ids;
    std::span<const TokenId> ids;
    std::vector<int64_t> lengths;
  };

  SharedContext(const PromptBuilder& builder, Parts parts)
      : builder_(builder),
        num_field_bytes_(std::ssize(parts.field_text)),
        num_field_ids_(std::ssize(parts.field_ids)),
        num_bos_(builder.tokenizer_.bos_id() ? 1 : 0),
        lengths_(std::move(parts.lengths)) {
    DecodedPrefixes decoded = builder_.tokenizer_.decode_prefixes(parts.ids, lengths_);
    prefixes_ = std::move(decoded.prefixes);
    text_ = std::move(parts.field_text) + decoded.text;
    if (builder_.options_.join == Join::kText) {
      trunk_ = builder_.tokenizer_.encode_trunk(text_);
      ids_ = trunk_->ids();
    } else {
      ids_.assign(parts.field_ids.begin(), parts.field_ids.end());
      append(ids_, parts.ids);
    }
  }

  [[nodiscard]] PromptTrunk trunk(bool with_text) const {
    PromptTrunk trunk;
    if (const auto bos_id = builder_.tokenizer_.bos_id()) trunk.ids.push_back(*bos_id);
    append(trunk.ids, ids_);
    if (with_text) trunk.text = text_;
    return trunk;
  }

  // The prompt that shows `chunk_ids` after context number `index`.
  [[nodiscard]] Prompt prompt(int64_t index, std::span<const TokenId> chunk_ids, bool with_text) const {
    Prompt prompt;
    const int64_t num_bytes = num_field_bytes_ + prefixes_[index].num_bytes;
    const bool join_text = builder_.options_.join == Join::kText;
    std::string rest_text;
    if (join_text || with_text) rest_text = text_after(index, chunk_ids);
    if (join_text) {
      JoinedIds joined = trunk_->join(num_bytes, rest_text);
      prompt.num_shared = num_bos_ + joined.num_shared;
      prompt.rest = std::move(joined.rest);
    } else {
      prompt.num_shared = num_bos_ + num_field_ids_ + lengths_[index];
      append(prompt.rest, builder_.before_chunk_ids_);
      append(prompt.rest, chunk_ids);
      append(prompt.rest, builder_.after_chunk_ids_);
    }
    if (with_text) {
      prompt.num_shared_bytes = num_bytes;
      prompt.rest_text = std::move(rest_text);
    }
    return prompt;
  }

 private:
  // From the end of the context's whole characters to the end of the prompt.
  [[nodiscard]] std::string text_after(int64_t index, std::span<const TokenId> chunk_ids) const {
    std::string text;
    for (int i = 0; i < prefixes_[index].num_replacements; ++i) append_utf8(kReplacementCharacter, text);
    text += kTemplateBeforeChunk;
    text += builder_.tokenizer_.decode(chunk_ids);
    text += kTemplateAfterChunk;
    return text;
  }

  const PromptBuilder& builder_;
  int64_t num_field_bytes_;
  int64_t num_field_ids_;
  int64_t num_bos_;
  std::vector<int64_t> lengths_;         // of the contexts, in document ids
  std::vector<DecodedPrefix> prefixes_;  // the same, decoded
  std::string text_;                     // the longest context
  std::vector<TokenId> ids_;             // its ids under the join mode, without BOS
  std::unique_ptr<Trunk> trunk_;         // of text_; only for Join::kText
};

// Makes the prompts of one document, chunk after chunk, moving the context's begin on where it must.
class PromptBuilder::Prompter {
 public:
  Prompter(const PromptBuilder& builder, const Document& document, std::span<const TokenId> ids,
           std::span<const Chunk> chunks)
      : builder_(builder),
        document_(document),
        ids_(ids),
        chunks_(chunks),
        field_ids_(builder.tokenizer_.encode(document.context)),
        window_(std::ssize(field_ids_), builder.options_.chunking.chunk_size, builder.max_context_) {}

  // The prompt of chunk `index` (ascending from call to call) with as much context as is allowed, its trunk added to
  // `trunks` if it is a new one. Nullopt if the prompt does not fit the positions even with an empty context;
  // num_prompt_tokens() is then its length.
  std::optional<Prompt> next(int64_t index, bool with_text, std::vector<PromptTrunk>& trunks) {
    const Chunk& chunk = chunks_[index];
    while (true) {
      if (window_.fits(chunk.begin)) {
        const bool is_new = !context_;
        if (is_new) start_context(index);
        Prompt prompt =
            context_->prompt(index - first_index_, ids_.subspan(chunk.begin, chunk.end - chunk.begin), with_text);
        num_prompt_tokens_ = prompt.num_shared + std::ssize(prompt.rest);
        if (num_prompt_tokens_ <= builder_.max_positions_) {
          if (is_new) trunks.push_back(context_->trunk(with_text));
          prompt.chunk = index;
          prompt.trunk = std::ssize(trunks) - 1;
          return prompt;
        }
        if (window_.num_tokens(chunk.begin) == 0) return std::nullopt;
      }
      window_.move_on();
      context_.reset();
    }
  }

  [[nodiscard]] int64_t num_prompt_tokens() const { return num_prompt_tokens_; }
  [[nodiscard]] bool is_cut() const { return window_.is_cut(); }

 private:
  // Everything from the window's begin up to the last chunk whose context still fits.
  void start_context(int64_t index) {
    SharedContext::Parts parts;
    parts.field_ids = std::span(field_ids_).subspan(window_.field_begin());
    // A field may have text and no ids (spaces that a normaliser drops); it is cut as soon as the window moves.
    parts.field_text = window_.is_cut() ? builder_.tokenizer_.decode(parts.field_ids) : document_.context;
    for (int64_t i = index; i < std::ssize(chunks_) && window_.fits(chunks_[i].begin); ++i) {
      parts.lengths.push_back(window_.num_ids(chunks_[i].begin));
    }
    if (const int64_t longest = parts.lengths.back(); longest > 0)
      parts.ids = ids_.subspan(window_.ids_begin(), longest);
    context_ = std::make_unique<SharedContext>(builder_, std::move(parts));
    first_index_ = index;
  }

  const PromptBuilder& builder_;
  const Document& document_;
  std::span<const TokenId> ids_;
  std::span<const Chunk> chunks_;
  std::vector<TokenId> field_ids_;
  ContextWindow window_;
  std::unique_ptr<SharedContext> context_;  // of the window's present begin, for chunks from first_index_ on
  int64_t first_index_ = 0;
  int64_t num_prompt_tokens_ = 0;
};

PromptBuilder::PromptBuilder(const Tokenizer& tokenizer, const PromptOptions& options, int64_t max_positions)
    : tokenizer_(tokenizer),
      options_(options),
      max_positions_(max_positions),
      before_chunk_ids_(tokenizer.encode(kTemplateBeforeChunk)),
      after_chunk_ids_(tokenizer.encode(kTemplateAfterChunk)) {
  (void)split_into_chunks(0, options.chunking);  // throws if chunk size or stride is out of range
  if (options.max_context && *options.max_context < 0) {
    throw Error("max_context: expected at least 0, got " + std::to_string(*options.max_context));
  }
  max_context_ =
      options.max_context.value_or(default_max_context(tokenizer, options.chunking.chunk_size, max_positions));
}

std::string ids_sha256(std::span<const TokenId> ids) {
  std::string decimal;
  for (const TokenId id : ids) decimal.append(decimal.empty() ? "" : ",").append(std::to_string(id));
  return sha256_hex(decimal);
}

DocumentPrompts PromptBuilder::build(const Document& document, const Extras& extras) const {
  DocumentPrompts result;
  try {
    build(document, extras, result);
  } catch (const Error& error) {
    // A text that the tokenizer cannot take (a split pattern's step limit, say) is that document's fault, not the
    // run's.
    result.error = std::string("text: ") + error.what();
  }
  return result;
}

void PromptBuilder::build(const Document& document, const Extras& extras, DocumentPrompts& result) const {
  SourcedIds encoded;
  if (extras.spans) {
    encoded = tokenizer_.encode_with_sources(document.text);
  } else {
    encoded.ids = tokenizer_.encode(document.text);
  }
  result.num_tokens = std::ssize(encoded.ids);
  if (extras.ids_sha256) result.ids_sha256 = ids_sha256(encoded.ids);
  result.chunks = split_into_chunks(result.num_tokens, options_.chunking);
  if (extras.spans) result.spans = chunk_spans(document.text, encoded.sources, result.chunks);
  result.warnings.special_tokens =
      tokenizer_.contains_special_token(document.text) || tokenizer_.contains_special_token(document.context);
  result.warnings.template_markers =
      contains_template_marker(document.text) || contains_template_marker(document.context);
  if (result.chunks.empty()) {
    result.error = "text: no tokens";
    return;
  }

  Prompter prompter(*this, document, encoded.ids, result.chunks);
  for (int64_t index = 0; index < std::ssize(result.chunks); ++index) {
    if (extras.stop != nullptr && *extras.stop) {
      result.error = "stopped";
      return;
    }
    if (!is_scored(options_, result.chunks, index)) continue;
    auto prompt = prompter.next(index, extras.prompt_texts, result.trunks);
    if (!prompt) {
      result.error = "text: chunk " + std::to_string(index) + ": expected a prompt of at most " +
                     std::to_string(max_positions_) + " tokens, got " + std::to_string(prompter.num_prompt_tokens()) +
                     " with an empty context";
      return;
    }
    result.prompts.push_back(std::move(*prompt));
  }
  result.warnings.context_cut = prompter.is_cut();
  if (result.prompts.empty()) result.error = "text: no chunk left to score of " + std::to_string(result.chunks.size());
}

}  // namespace prm_score
