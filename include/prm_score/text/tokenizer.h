// tokenizer.h - text to token ids and back, behind one interface for both kinds of tokenizer file.
//
// The reference is the Python package of the same file: `tokenizers` for `tokenizer.json` (bpe_tokenizer.h),
// `sentencepiece` for `tokenizer.model` (sentencepiece_tokenizer.h). All text is UTF-8.
//
// A chunk border may cut a character: the ids on one side then hold only some of its bytes, and decode to U+FFFD.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prm_score {

using TokenId = int32_t;

// Half-open range of UTF-8 bytes.
struct ByteRange {
  int64_t begin = 0;
  int64_t end = 0;

  bool operator==(const ByteRange&) const = default;
};

// `sources[i]` = the bytes of the text as given (before normalisation) that ids[i] stands for, widened to whole
// characters: a character that is cut between two ids is in both. Ranges begin in non-decreasing order.
struct SourcedIds {
  std::vector<TokenId> ids;
  std::vector<ByteRange> sources;
};

// The first ids of a text, decoded: decode(ids[0:n]) == text[0:num_bytes] + num_replacements * U+FFFD, where `text` is
// the decoding of all the ids. num_replacements > 0 only where the ids end inside a character.
struct DecodedPrefix {
  int64_t num_bytes = 0;
  int num_replacements = 0;

  bool operator==(const DecodedPrefix&) const = default;
};

struct DecodedPrefixes {
  std::string text;                     // decode(all ids)
  std::vector<DecodedPrefix> prefixes;  // one per asked position
};

// A text's first ids followed by others: ids = trunk.ids()[0, num_shared) + rest.
struct JoinedIds {
  int64_t num_shared = 0;
  std::vector<TokenId> rest;
};

// A tokenised text that answers how any of its prefixes would be tokenised if another text followed. Holds a reference
// to its tokenizer. Immutable, thread-safe.
class Trunk {
 public:
  virtual ~Trunk() = default;

  // encode(text).
  [[nodiscard]] virtual const std::vector<TokenId>& ids() const = 0;

  // encode(text[0:num_bytes] + tail), exactly. `num_bytes` is at a character boundary. Takes time for `tail` and a
  // bounded end of the prefix where the tokenizer allows it, else for the whole string.
  [[nodiscard]] virtual JoinedIds join(int64_t num_bytes, std::string_view tail) const = 0;
};

enum class SpecialTokens {
  kParse,  // added tokens with `special: true` inside a text become their one id, as the reference parses them
  kText,   // they are plain text: `encode_special_tokens = True` of the `tokenizers` package
};

// Immutable after loading; every method is thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text` (valid UTF-8) without BOS and EOS. Linear time, up to a logarithm.
  [[nodiscard]] virtual std::vector<TokenId> encode(std::string_view text) const = 0;

  // The same ids, and where in `text` they come from.
  [[nodiscard]] virtual SourcedIds encode_with_sources(std::string_view text) const = 0;

  // The decoder alone: special tokens kept, no clean-up of spaces, invalid UTF-8 replaced by U+FFFD (one per maximal
  // subpart for `tokenizer.json`, one per byte for `tokenizer.model`). Throws Error for an id outside the vocabulary.
  [[nodiscard]] virtual std::string decode(std::span<const TokenId> ids) const = 0;

  // decode(ids) and decode(ids[0:n]) for every n in `positions` (ascending, 0 <= n <= ids.size()), in linear time.
  [[nodiscard]] virtual DecodedPrefixes decode_prefixes(std::span<const TokenId> ids,
                                                        std::span<const int64_t> positions) const = 0;

  // The id of a label such as `A`. Throws Error if `label` is not a single token, saying what it is.
  [[nodiscard]] virtual TokenId label_id(std::string_view label) const = 0;

  // Put once at the front of every prompt, if the tokenizer's files ask for it.
  [[nodiscard]] virtual std::optional<TokenId> bos_id() const = 0;

  // One more than the largest id.
  [[nodiscard]] virtual int64_t vocab_size() const = 0;

  // Whether `text` holds an added token with `special: true`, whatever SpecialTokens says.
  [[nodiscard]] virtual bool contains_special_token(std::string_view text) const = 0;

  // encode(text), ready to be asked for prefixes. The Trunk must not outlive the tokenizer.
  [[nodiscard]] virtual std::unique_ptr<Trunk> encode_trunk(std::string text) const = 0;

  // Name of the file it was read from (`tokenizer.json`), and the SHA-256 of its bytes in hex.
  [[nodiscard]] virtual const std::string& file_name() const = 0;
  [[nodiscard]] virtual const std::string& file_sha256() const = 0;
};

// The slow and sure trunk: every join() encodes the whole string. What a tokenizer falls back to, and what the tests
// hold the fast ones against.
[[nodiscard]] std::unique_ptr<Trunk> make_whole_string_trunk(const Tokenizer& tokenizer, std::string text);

struct TokenizerOptions {
  SpecialTokens special_tokens = SpecialTokens::kParse;
};

// Reads `tokenizer.json` of a checkpoint folder if it is there and of a supported kind, else `tokenizer.model`; BOS
// also after `tokenizer_config.json`. Throws Error naming the file with its path, and what is missing or unknown in it.
[[nodiscard]] std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder,
                                                        const TokenizerOptions& options);

}  // namespace prm_score
