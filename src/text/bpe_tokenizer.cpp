#include "prm_score/text/bpe_tokenizer.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "prm_score/error.h"
#include "prm_score/text/bpe_trunk.h"
#include "prm_score/text/byte_level.h"
#include "prm_score/text/normalizer.h"
#include "prm_score/text/sha256.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

constexpr size_t kBytesPerToken = 4;  // of English text, to reserve memory by

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

ByteRange widen_to_characters(std::string_view text, ByteRange range) {
  while (range.begin > 0 && is_continuation(text[static_cast<size_t>(range.begin)])) --range.begin;
  while (range.end < static_cast<int64_t>(text.size()) && is_continuation(text[static_cast<size_t>(range.end)])) {
    ++range.end;
  }
  return range;
}

std::optional<TokenId> choose_bos_id(const TokenizerJson& json, const std::optional<std::string>& config_bos_token) {
  if (json.bos_id || !config_bos_token) return json.bos_id;
  const auto id = json.token_id(*config_bos_token);
  if (!id)
    throw Error("tokenizer_config.json: bos_token: expected a token of the vocabulary, got \"" + *config_bos_token +
                "\"");
  return id;
}

// Appends the decoding of `bytes` and notes what each prefix of them decodes to. `ends` (ascending): their lengths.
DecodedPrefixes decode_byte_prefixes(std::string_view bytes, std::span<const size_t> ends) {
  DecodedPrefixes decoded;
  decoded.text.reserve(bytes.size());
  size_t offset = 0;
  for (const size_t end : ends) {
    while (offset < end) {
      const DecodedCodePoint c = decode_code_point(bytes, offset);
      const size_t next = offset + static_cast<size_t>(c.num_bytes);
      if (next > end) break;  // the prefix ends inside this character
      append_utf8(c.code_point, decoded.text);
      offset = next;
    }
    // What there is of a cut character is one maximal subpart: a beginning of some valid character.
    decoded.prefixes.push_back({static_cast<int64_t>(decoded.text.size()), offset < end ? 1 : 0});
  }
  decoded.text += replace_invalid_utf8(bytes.substr(offset));
  return decoded;
}

std::string read_file(const std::filesystem::path& file) {
  if (std::filesystem::exists(file) && !std::filesystem::is_regular_file(file)) {
    throw Error(file.string() + ": expected a regular file");
  }
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream) throw Error(file.string() + ": cannot be opened");
  std::string bytes(static_cast<size_t>(std::max<std::streamoff>(stream.tellg(), 0)), '\0');
  stream.seekg(0);
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!stream) throw Error(file.string() + ": cannot be read");
  return bytes;
}

}  // namespace

BpeTokenizer::BpeTokenizer(std::string_view json, const std::string& file_name,
                           const std::optional<std::string>& config_bos_token, const TokenizerOptions& options)
    : BpeTokenizer(parse_tokenizer_json(json, file_name), json, file_name, config_bos_token, options) {}

BpeTokenizer::BpeTokenizer(TokenizerJson json, std::string_view bytes, std::string file_name,
                           const std::optional<std::string>& config_bos_token, const TokenizerOptions& options)
    : splitter_(json, options.special_tokens, TextSplitter::Depth::kPieces),
      special_token_finder_(json, SpecialTokens::kParse, TextSplitter::Depth::kSegments),
      bos_id_(choose_bos_id(json, config_bos_token)),
      vocab_size_(json.tokens.end_id()),
      file_name_(std::move(file_name)),
      file_sha256_(sha256_hex(bytes)),
      model_(std::move(json.tokens), json.merges, json.ignore_merges) {
  for (const AddedToken& token : json.added_tokens) {
    const bool is_changed = token.normalized && json.normalizes_to_nfc;
    added_token_bytes_[token.id] = byte_level_decode(is_changed ? normalize_nfc(token.content) : token.content);
    if (token.special) special_ids_.insert(token.id);
    vocab_size_ = std::max<int64_t>(vocab_size_, token.id + 1);
  }
}

std::vector<TokenId> BpeTokenizer::encode(std::string_view text) const {
  std::vector<TokenId> ids;
  ids.reserve(text.size() / kBytesPerToken);
  splitter_.split(text, Sources::kAny, [&](const TextPiece& piece) { encode_piece(model_, piece, ids); });
  return ids;
}

SourcedIds BpeTokenizer::encode_with_sources(std::string_view text) const {
  SourcedIds sourced;
  splitter_.split(text, Sources::kExact, [&](const TextPiece& piece) {
    encode_piece(model_, piece, sourced.ids);
    append_sources(text, piece, sourced);
  });
  // Where tokens take white space twice a range may begin before the one before it: that one is widened.
  for (size_t i = sourced.sources.size(); i-- > 1;) {
    sourced.sources[i - 1].begin = std::min(sourced.sources[i - 1].begin, sourced.sources[i].begin);
  }
  return sourced;
}

// Goes along the bytes of the piece and of the ids it became. Bytes without a token are in no id.
void BpeTokenizer::append_sources(std::string_view text, const TextPiece& piece, SourcedIds& sourced) const {
  if (piece.is_added_token()) {
    sourced.sources.push_back(piece.source);
    return;
  }
  const auto source_of = [&piece](size_t i) {
    const auto byte = piece.source.begin + static_cast<int64_t>(i);
    return piece.byte_sources.empty() ? ByteRange{byte, byte + 1} : piece.byte_sources[i];
  };
  size_t next = 0;
  for (size_t i = sourced.sources.size(); i < sourced.ids.size(); ++i) {
    const auto skip_unknown = [&] {
      while (!model_.knows_byte(static_cast<unsigned char>(piece.bytes[next]))) ++next;
    };
    skip_unknown();
    ByteRange source = source_of(next);
    for (size_t left = model_.tokens().bytes(sourced.ids[i]).size(); left > 0; --left) {
      skip_unknown();
      source.end = std::max(source.end, source_of(next++).end);
    }
    sourced.sources.push_back(widen_to_characters(text, source));
  }
}

std::string BpeTokenizer::decode(std::span<const TokenId> ids) const {
  std::string bytes;
  for (const TokenId id : ids) bytes += decoded_bytes(id);
  return replace_invalid_utf8(bytes);
}

DecodedPrefixes BpeTokenizer::decode_prefixes(std::span<const TokenId> ids, std::span<const int64_t> positions) const {
  std::string bytes;
  std::vector<size_t> ends;
  auto position = positions.begin();
  for (size_t i = 0; i <= ids.size(); ++i) {
    for (; position != positions.end() && *position == static_cast<int64_t>(i); ++position)
      ends.push_back(bytes.size());
    if (i < ids.size()) bytes += decoded_bytes(ids[i]);
  }
  return decode_byte_prefixes(bytes, ends);
}

TokenId BpeTokenizer::label_id(std::string_view label) const {
  const std::vector<TokenId> ids = encode(label);
  if (ids.size() == 1) return ids[0];
  std::string tokens;
  for (const TokenId id : ids) tokens += (tokens.empty() ? "" : " ") + std::to_string(id);
  throw Error(file_name_ + ": label \"" + std::string(label) + "\": expected a single token, got " +
              std::to_string(ids.size()) + (ids.empty() ? "" : " (ids " + tokens + ")"));
}

bool BpeTokenizer::contains_special_token(std::string_view text) const {
  if (special_ids_.empty()) return false;
  bool found = false;
  special_token_finder_.split(text, Sources::kAny, [&](const TextPiece& piece) {
    found = found || (piece.is_added_token() && special_ids_.contains(piece.added_token));
  });
  return found;
}

std::unique_ptr<Trunk> BpeTokenizer::encode_trunk(std::string text) const {
  if (!splitter_.cuts_are_local()) return make_whole_string_trunk(*this, std::move(text));
  return std::make_unique<BpeTrunk>(splitter_, model_, std::move(text));
}

std::string_view BpeTokenizer::decoded_bytes(TokenId id) const {
  const auto added = added_token_bytes_.find(id);
  if (added != added_token_bytes_.end()) return added->second;
  if (model_.tokens().contains(id)) return model_.tokens().bytes(id);
  throw Error(file_name_ + ": token id " + std::to_string(id) +
              ": expected an id of the vocabulary, which ends before " + std::to_string(vocab_size_));
}

std::unique_ptr<Tokenizer> load_bpe_tokenizer(const std::filesystem::path& tokenizer_file,
                                              const TokenizerOptions& options) {
  const std::string json = read_file(tokenizer_file);
  const auto config_bos_token = read_config_bos_token(tokenizer_file.parent_path() / "tokenizer_config.json");
  return std::make_unique<BpeTokenizer>(json, tokenizer_file.filename().string(), config_bos_token, options);
}

}  // namespace prm_score
