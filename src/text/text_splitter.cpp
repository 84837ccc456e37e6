#include "prm_score/text/text_splitter.h"

#include <algorithm>
#include <string>

#include "prm_score/text/normalizer.h"
#include "prm_score/text/unicode.h"

namespace prm_score {

// A stretch of the text between added tokens, normalised.
struct TextSplitter::Segment {
  std::string_view text;
  int64_t offset = 0;              // of the original in the whole text
  bool changed = false;            // by the normaliser
  std::vector<ByteRange> sources;  // of each byte in the whole text, if changed and asked for

  [[nodiscard]] TextPiece piece(size_t begin, size_t end) const {
    TextPiece piece;
    piece.bytes = text.substr(begin, end - begin);
    piece.source = {-1, -1};
    if (!changed) {
      piece.source = {offset + static_cast<int64_t>(begin), offset + static_cast<int64_t>(end)};
    } else if (!sources.empty()) {
      piece.byte_sources = std::span(sources).subspan(begin, end - begin);
      piece.source = {piece.byte_sources.front().begin, piece.byte_sources.back().end};
    }
    return piece;
  }
};

namespace {

std::vector<AddedToken> tokens_of_round(const TokenizerJson& json, bool normalized) {
  std::vector<AddedToken> tokens;
  for (const AddedToken& token : json.added_tokens) {
    if (token.normalized != normalized) continue;
    tokens.push_back(token);
    if (normalized && json.normalizes_to_nfc) tokens.back().content = normalize_nfc(token.content);
  }
  return tokens;
}

// Visits the matches and the stretches between them.
template <typename OnMatch, typename OnGap>
void for_each_stretch(const AddedTokenMatcher& matcher, std::string_view text, OnMatch on_match, OnGap on_gap) {
  std::vector<AddedTokenMatch> matches;
  matcher.find(text, matches);
  size_t end = 0;
  for (const AddedTokenMatch& match : matches) {
    const auto begin = static_cast<size_t>(match.begin);
    if (end < begin) on_gap(end, begin);
    end = static_cast<size_t>(match.end);
    on_match(match.id, begin, end);
  }
  if (end < text.size()) on_gap(end, text.size());
}

size_t white_space_begin(std::string_view text, size_t end) {
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!is_white_space(decode_code_point(text, begin).code_point)) break;
    end = begin;
  }
  return end;
}

}  // namespace

TextSplitter::TextSplitter(const TokenizerJson& json, SpecialTokens special_tokens, Depth depth)
    : raw_tokens_(tokens_of_round(json, /*normalized=*/false), special_tokens),
      normalized_tokens_(tokens_of_round(json, /*normalized=*/true), special_tokens),
      normalizes_to_nfc_(json.normalizes_to_nfc) {
  if (depth == Depth::kSegments) return;
  for (const SplitRule& pattern : json.split_rules) {
    try {
      pretokenizers_.emplace_back(pattern.regex, pattern.file_and_field);
    } catch (const Error& error) {
      throw UnsupportedTokenizer(error.what());
    }
  }
  cuts_are_local_ = find_out_cuts_are_local();
}

void TextSplitter::split(std::string_view text, Sources sources, const Visitor& visit) const {
  for_each_stretch(
      raw_tokens_, text,
      [&](TokenId id, size_t begin, size_t end) {
        const ByteRange source{static_cast<int64_t>(begin), static_cast<int64_t>(end)};
        visit({id, text.substr(begin, end - begin), source, {}});
      },
      [&](size_t begin, size_t end) {
        split_segment(text.substr(begin, end - begin), static_cast<int64_t>(begin), sources, visit);
      });
}

void TextSplitter::split_segment(std::string_view text, int64_t offset, Sources sources, const Visitor& visit) const {
  NormalizedText normalized;
  Segment segment{text, offset, false, {}};
  if (normalizes_to_nfc_) {
    if (sources == Sources::kExact) {
      normalized = normalize_nfc_with_sources(text);
    } else {
      normalized.text = normalize_nfc(text);
    }
    segment.changed = normalized.text != text;
  }
  if (segment.changed) {
    segment.text = normalized.text;
    segment.sources = std::move(normalized.sources);
    for (ByteRange& source : segment.sources) source = {source.begin + offset, source.end + offset};
  }
  for_each_stretch(
      normalized_tokens_, segment.text,
      [&](TokenId id, size_t begin, size_t end) {
        TextPiece piece = segment.piece(begin, end);
        piece.added_token = id;
        visit(piece);
      },
      [&](size_t begin, size_t end) { split_words(segment, begin, end, 0, visit); });
}

void TextSplitter::split_words(const Segment& segment, size_t begin, size_t end, size_t level,
                               const Visitor& visit) const {
  if (level == pretokenizers_.size()) {
    visit(segment.piece(begin, end));
    return;
  }
  std::vector<int64_t> piece_ends;
  pretokenizers_[level].split(segment.text.substr(begin, end - begin), piece_ends);
  size_t piece_begin = begin;
  for (const int64_t piece_end : piece_ends) {
    split_words(segment, piece_begin, begin + static_cast<size_t>(piece_end), level + 1, visit);
    piece_begin = begin + static_cast<size_t>(piece_end);
  }
}

// An added token cut in two is text that follows the cut before it, so all of them must be tails that leave alone.
bool TextSplitter::find_out_cuts_are_local() const {
  const auto leave_alone = [this](const AddedTokenMatcher& matcher) {
    return !matcher.has_single_word() && std::ranges::all_of(matcher.tokens(), [this](const AddedToken& token) {
      return pretokenizers_.empty() || pretokenizers_[0].cuts_are_local(token.content);
    });
  };
  return pretokenizers_.size() <= 1 && (pretokenizers_.empty() || pretokenizers_[0].cuts_are_local("")) &&
         leave_alone(raw_tokens_) && leave_alone(normalized_tokens_) && !normalized_tokens_.has_plain_special();
}

bool TextSplitter::leaves_alone(std::string_view tail) const {
  return is_normalized_apart(tail) && (pretokenizers_.empty() || pretokenizers_[0].cuts_are_local(tail));
}

size_t TextSplitter::safe_end(std::string_view text, size_t cut) const {
  // An added token may begin in the prefix and end in the tail. It takes, and the patterns look at, the white space
  // before it; so the answer is where the white space begins that precedes the first place where one may begin.
  const size_t max_token_bytes = std::max(raw_tokens_.max_bytes(), normalized_tokens_.max_bytes());
  size_t end = cut - std::min(cut, max_token_bytes);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return white_space_begin(text, end);
}

bool TextSplitter::can_resume_at(std::string_view text, size_t offset) const {
  return is_normalized_apart(text.substr(offset)) && !raw_tokens_.may_pass_over(text, offset);
}

bool TextSplitter::is_normalized(std::string_view text) const {
  return !normalizes_to_nfc_ || normalize_nfc(text) == text;
}

bool TextSplitter::is_normalized_apart(std::string_view tail) const {
  return !normalizes_to_nfc_ || tail.empty() || !may_change_before(decode_code_point(tail, 0).code_point);
}

}  // namespace prm_score
