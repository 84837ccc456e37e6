#include "prm_score/text/sentencepiece_encoder.h"

#include <algorithm>
#include <utility>

#include <sentencepiece_processor.h>

#include "prm_score/error.h"
#include "prm_score/text/unicode.h"

// Not in the header of 0.1.97, but in its library and later ones.
namespace sentencepiece::logging {
void SetMinLogLevel(int level);  // NOLINT(readability-identifier-naming): the library's own name
}

namespace prm_score {
namespace {

using PieceType = SentencePieceModel::PieceType;

constexpr int kLogOnlyFatal = 3;
constexpr size_t kBlockBytes = size_t{1} << 18;
constexpr int64_t kFirstWindowBytes = 64;
constexpr int64_t kWindowGrowth = 8;

void load(sentencepiece::SentencePieceProcessor& processor, const SentencePieceModel& model,
          std::string_view file_name) {
  const sentencepiece::util::Status status = processor.LoadFromSerializedProto(serialize_for_library(model));
  if (!status.ok()) throw Error(std::string(file_name) + ": the sentencepiece library says: " + status.ToString());
}

struct LibraryResult {
  SourcedIds encoded;
  std::vector<size_t> piece_bytes;  // of the text after normalisation; 6 for a byte piece: `<0x41>`
};

LibraryResult run(const sentencepiece::SentencePieceProcessor& processor, std::string_view text) {
  sentencepiece::ImmutableSentencePieceText pieces;
  const sentencepiece::util::Status status = processor.Encode(text, pieces.mutable_proto());
  if (!status.ok()) throw Error("tokenizer.model: the sentencepiece library says: " + status.ToString());
  const size_t num_ids = pieces.pieces_size();
  LibraryResult result;
  result.encoded.ids.reserve(num_ids);
  result.encoded.sources.reserve(num_ids);
  result.piece_bytes.reserve(num_ids);
  for (size_t i = 0; i < num_ids; ++i) {
    const auto piece = pieces.pieces(static_cast<int>(i));
    result.encoded.ids.push_back(static_cast<TokenId>(piece.id()));
    result.encoded.sources.push_back({.begin = piece.begin(), .end = piece.end()});
    result.piece_bytes.push_back(piece.piece().size());
  }
  return result;
}

// Follows pieces through a text that is normalised by U+2581 for spaces only. (The library's own ranges begin nowhere
// inside what looks like a user-defined piece before normalisation, though pieces after it may.)
class SourceTracer {
 public:
  SourceTracer(std::string_view text, bool begins_with_added_space)
      : text_(text), normalized_left_(begins_with_added_space ? kSpaceMark.size() : 0) {}

  // The range of the next piece, which has `num_bytes` after normalisation. One that ends inside a character ends at
  // its begin.
  ByteRange take(size_t num_bytes) {
    const int64_t begin = position_;
    while (num_bytes > 0) {
      if (normalized_left_ == 0) enter_character();
      const size_t taken = std::min(num_bytes, normalized_left_);
      num_bytes -= taken;
      normalized_left_ -= taken;
      if (normalized_left_ == 0) position_ += std::exchange(original_bytes_, 0);
    }
    return {.begin = begin, .end = position_};
  }

 private:
  void enter_character() {
    if (static_cast<size_t>(position_) >= text_.size()) throw Error("tokenizer.model: pieces go on after the text");
    original_bytes_ = decode_code_point(text_, position_).num_bytes;
    normalized_left_ = text_[position_] == ' ' ? kSpaceMark.size() : static_cast<size_t>(original_bytes_);
  }

  std::string_view text_;
  int64_t position_ = 0;
  int64_t original_bytes_ = 0;  // of the character at position_, if it is entered
  size_t normalized_left_;      // bytes of it that are not yet taken
};

bool has_local_merges(const SentencePieceModel& model) {
  return model.type == SentencePieceModel::Type::kBpe && model.precompiled_charsmap.empty() &&
         model.escape_whitespaces && !model.remove_extra_whitespaces && !model.treat_whitespace_as_suffix &&
         std::ranges::none_of(model.pieces, [](const auto& piece) { return piece.type == PieceType::kUnused; });
}

ByteRange shifted(const ByteRange& range, int64_t num_bytes) {
  return {.begin = range.begin + num_bytes, .end = range.end + num_bytes};
}

// Number of leading ids to take over from `known` and to drop from `window`, whose text starts at `window_begin` of
// known's: up to and with the first piece that both have, ending at most at `last_end`. The search in `known` starts at
// `first_known`. {0, 0} if there is none.
struct SharedPiece {
  size_t num_known = 0;
  size_t num_window = 0;
};
SharedPiece find_shared_piece(const SourcedIds& known, size_t first_known, const SourcedIds& window,
                              int64_t window_begin, int64_t last_end) {
  size_t i = first_known, j = 0;
  while (i < known.ids.size() && j < window.ids.size()) {
    const ByteRange a = known.sources[i], b = shifted(window.sources[j], window_begin);
    if (a.end > last_end || b.end > last_end) break;
    if (a == b && a.begin < a.end && known.ids[i] == window.ids[j]) return {.num_known = i + 1, .num_window = j + 1};
    if (a.end <= b.end) ++i;
    if (b.end <= a.end) ++j;
  }
  return {};
}

SourcedIds dropped_front(SourcedIds encoded, size_t num_ids, int64_t shift) {
  encoded.ids.erase(encoded.ids.begin(), encoded.ids.begin() + static_cast<ptrdiff_t>(num_ids));
  encoded.sources.erase(encoded.sources.begin(), encoded.sources.begin() + static_cast<ptrdiff_t>(num_ids));
  for (ByteRange& source : encoded.sources) source = shifted(source, shift);
  return encoded;
}

bool is_character_start(std::string_view text, size_t offset) {
  return offset >= text.size() || (static_cast<uint8_t>(text[offset]) & 0xC0) != 0x80;
}

}  // namespace

struct SentencePieceEncoder::Library {
  sentencepiece::SentencePieceProcessor whole;   // the model as it is
  sentencepiece::SentencePieceProcessor window;  // without the space that it adds at the front; loaded if is_local_
};

SentencePieceEncoder::SentencePieceEncoder(const SentencePieceModel& model, std::string_view file_name)
    : is_local_(has_local_merges(model)), add_dummy_prefix_(model.add_dummy_prefix) {
  if (model.type == SentencePieceModel::Type::kUnigram) {
    unigram_ = std::make_unique<UnigramEncoder>(model);
    return;
  }
  sentencepiece::logging::SetMinLogLevel(kLogOnlyFatal);
  auto library = std::make_unique<Library>();
  load(library->whole, model, file_name);
  if (is_local_) {
    SentencePieceModel without_prefix = model;
    without_prefix.add_dummy_prefix = false;
    load(library->window, without_prefix, file_name);
  }
  for (const SentencePieceModel::Piece& piece : model.pieces) {
    is_byte_.push_back(piece.type == PieceType::kByte);
    if (piece.type != PieceType::kUserDefined) continue;
    longest_symbol_bytes_ = std::max(longest_symbol_bytes_, static_cast<int64_t>(piece.text.size()));
  }
  library_ = std::move(library);
}

SentencePieceEncoder::~SentencePieceEncoder() = default;

SourcedIds SentencePieceEncoder::encode(std::string_view text) const {
  return is_local_ && text.size() > kBlockBytes ? encode_in_blocks(text) : encode_whole(text);
}

SourcedIds SentencePieceEncoder::encode_whole(std::string_view text) const {
  if (unigram_) return unigram_->encode(text);
  return is_local_ ? encode_local(text, WithPrefix::kAsTheModel) : run(library_->whole, text).encoded;
}

SourcedIds SentencePieceEncoder::encode_local(std::string_view text, WithPrefix with_prefix) const {
  const bool as_the_model = with_prefix == WithPrefix::kAsTheModel;
  LibraryResult result = run(as_the_model ? library_->whole : library_->window, text);
  SourceTracer tracer(text, as_the_model && add_dummy_prefix_ && !text.empty());
  for (size_t i = 0; i < result.encoded.ids.size(); ++i) {
    const bool is_byte = is_byte_[result.encoded.ids[i]];
    result.encoded.sources[i] = tracer.take(is_byte ? 1 : result.piece_bytes[i]);
  }
  return std::move(result.encoded);
}

SourcedIds SentencePieceEncoder::encode_in_blocks(std::string_view text) const {
  SourcedIds known;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(begin + kBlockBytes, text.size());
    while (!is_character_start(text, end)) --end;
    const std::string_view known_text = text.substr(0, begin);
    Joined joined = join(known, known_text, static_cast<int64_t>(begin), text.substr(begin, end - begin));
    known.ids.resize(joined.num_shared);
    known.sources.resize(joined.num_shared);
    known.ids.insert(known.ids.end(), joined.rest.ids.begin(), joined.rest.ids.end());
    known.sources.insert(known.sources.end(), joined.rest.sources.begin(), joined.rest.sources.end());
    begin = end;
  }
  return known;
}

SentencePieceEncoder::Joined SentencePieceEncoder::join(const SourcedIds& known, std::string_view known_text,
                                                        int64_t num_bytes, std::string_view tail) const {
  const std::string_view prefix = known_text.substr(0, num_bytes);
  Joined joined;
  if (is_local_) {
    for (int64_t window_bytes = kFirstWindowBytes; window_bytes < num_bytes; window_bytes *= kWindowGrowth) {
      if (join_in_window(known, prefix, tail, window_bytes, joined)) return joined;
    }
  }
  joined.rest = encode_whole(std::string(prefix).append(tail));
  return joined;
}

bool SentencePieceEncoder::join_in_window(const SourcedIds& known, std::string_view prefix, std::string_view tail,
                                          int64_t window_bytes, Joined& joined) const {
  const auto last_end = static_cast<int64_t>(prefix.size()) - longest_symbol_bytes_;
  const auto first = std::ranges::upper_bound(known.sources, last_end - window_bytes, {}, &ByteRange::end);
  if (first == known.sources.end() || first->begin <= 0) return false;

  const std::string text = std::string(prefix.substr(first->begin)).append(tail);
  const SourcedIds window = encode_local(text, WithPrefix::kNever);
  const SharedPiece shared = find_shared_piece(known, first - known.sources.begin(), window, first->begin, last_end);
  if (shared.num_window == 0) return false;
  joined.num_shared = static_cast<int64_t>(shared.num_known);
  joined.rest = dropped_front(window, shared.num_window, first->begin);
  return true;
}

}  // namespace prm_score
