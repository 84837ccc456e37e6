#include "prm_score/text/normalizer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <ranges>
#include <span>
#include <utility>

#include "unicode_tables.h"

#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

// Hangul syllables are arithmetic (Unicode 16, section 3.12): leading consonant, vowel, perhaps trailing consonant.
constexpr char32_t kSyllableBase = 0xAC00, kLeadingBase = 0x1100, kVowelBase = 0x1161, kTrailingBase = 0x11A7;
constexpr char32_t kNumLeading = 19, kNumVowels = 21, kNumTrailing = 28;  // the first trailing one is "none"
constexpr char32_t kNumSyllables = kNumLeading * kNumVowels * kNumTrailing;

// Value of every code point of a run table (unicode_tables.h), in pages of which equal ones are kept once.
class CodePointTable {
 public:
  explicit CodePointTable(std::span<const uint32_t> runs) {
    std::vector<uint8_t> values(kMaxCodePoint + 1);
    for (size_t i = 0; i < runs.size(); ++i) {
      const size_t end = i + 1 < runs.size() ? runs[i + 1] >> 8 : values.size();
      std::fill(values.begin() + (runs[i] >> 8), values.begin() + end, static_cast<uint8_t>(runs[i] & 0xFF));
    }
    for (size_t page = 0; page < page_of_.size(); ++page) {
      const Page* begin = reinterpret_cast<const Page*>(values.data() + page * kPageSize);
      const auto known = std::ranges::find(pages_, *begin);
      page_of_[page] = static_cast<uint8_t>(known - pages_.begin());
      if (known == pages_.end()) pages_.push_back(*begin);
    }
  }

  uint8_t operator[](char32_t code_point) const {
    return pages_[page_of_[code_point / kPageSize]][code_point % kPageSize];
  }

 private:
  static constexpr size_t kPageSize = 256;
  using Page = std::array<uint8_t, kPageSize>;

  std::array<uint8_t, (kMaxCodePoint + 1) / kPageSize> page_of_{};
  std::vector<Page> pages_;
};

// Whether a segment reaches over the code point: unicode_tables::changes_before_runs().
bool changes_before(char32_t code_point) {
  static const CodePointTable table(unicode_tables::changes_before_runs());
  return table[code_point] != 0;
}

uint8_t combining_class(char32_t code_point) {
  static const CodePointTable table(unicode_tables::combining_class_runs());
  return table[code_point];
}

std::optional<char32_t> compose_hangul(char32_t first, char32_t second) {
  const char32_t leading = first - kLeadingBase, vowel = second - kVowelBase;
  if (leading < kNumLeading && vowel < kNumVowels) {
    return kSyllableBase + (leading * kNumVowels + vowel) * kNumTrailing;
  }
  const char32_t syllable = first - kSyllableBase, trailing = second - kTrailingBase;
  if (syllable < kNumSyllables && syllable % kNumTrailing == 0 && trailing > 0 && trailing < kNumTrailing) {
    return first + trailing;
  }
  return std::nullopt;
}

std::optional<char32_t> compose(char32_t first, char32_t second) {
  if (const auto syllable = compose_hangul(first, second)) return syllable;
  const auto pair_of = [](const unicode_tables::Composition& composition) {
    return std::pair(composition.first, composition.second);
  };
  const auto compositions = unicode_tables::compositions();
  const auto found = std::ranges::lower_bound(compositions, std::pair(first, second), {}, pair_of);
  if (found == compositions.end() || pair_of(*found) != std::pair(first, second)) return std::nullopt;
  return found->composed;
}

// Normalises one segment at a time; keeps its buffer.
class SegmentNormalizer {
 public:
  // A code point of the segment and the characters of the original text it comes from.
  struct Scalar {
    char32_t code_point = 0;
    uint8_t combining_class = 0;
    ByteRange source;
  };

  // Form C of text[begin:end]; valid until the next call.
  const std::vector<Scalar>& normalize(std::string_view text, size_t begin, size_t end) {
    scalars_.clear();
    for (size_t offset = begin; offset < end;) {
      const DecodedCodePoint decoded = decode_code_point(text, offset);
      const auto source_begin = static_cast<int64_t>(offset);
      decompose(decoded.code_point, {.begin = source_begin, .end = source_begin + decoded.num_bytes});
      offset += decoded.num_bytes;
    }
    order_marks();
    compose_marks();
    make_sources_monotone();
    return scalars_;
  }

 private:
  void decompose(char32_t code_point, const ByteRange& source) {
    const char32_t syllable = code_point - kSyllableBase;
    if (syllable < kNumSyllables) {
      append(kLeadingBase + syllable / (kNumVowels * kNumTrailing), source);
      append(kVowelBase + syllable / kNumTrailing % kNumVowels, source);
      if (syllable % kNumTrailing != 0) append(kTrailingBase + syllable % kNumTrailing, source);
      return;
    }
    const auto decompositions = unicode_tables::decompositions();
    const auto found =
        std::ranges::lower_bound(decompositions, code_point, {}, &unicode_tables::Decomposition::code_point);
    if (found == decompositions.end() || found->code_point != code_point) return append(code_point, source);
    for (const char32_t part : unicode_tables::decomposition_pool().subspan(found->offset, found->length)) {
      append(part, source);
    }
  }

  void append(char32_t code_point, const ByteRange& source) {
    scalars_.push_back({.code_point = code_point, .combining_class = combining_class(code_point), .source = source});
  }

  // Canonical ordering: sorts each run of marks by class, equal classes as they come.
  void order_marks() {
    const auto is_starter = [](const Scalar& scalar) { return scalar.combining_class == 0; };
    for (auto begin = scalars_.begin(); begin != scalars_.end();) {
      const auto end = std::find_if(begin, scalars_.end(), is_starter);
      if (!std::ranges::is_sorted(begin, end, {}, &Scalar::combining_class)) {
        std::ranges::stable_sort(begin, end, {}, &Scalar::combining_class);
      }
      begin = std::find_if_not(end, scalars_.end(), is_starter);
    }
  }

  // Canonical composition: each code point joins the last starter unless one of its class or higher is between them.
  void compose_marks() {
    constexpr int kNothingBetween = -1;
    Scalar* starter = nullptr;
    int class_between = kNothingBetween;
    size_t num_kept = 0;
    for (const Scalar scalar : scalars_) {
      const bool is_blocked = starter == nullptr || class_between >= scalar.combining_class;
      const auto composed = is_blocked ? std::nullopt : compose(starter->code_point, scalar.code_point);
      if (composed) {
        starter->code_point = *composed;
        starter->source.end = std::max(starter->source.end, scalar.source.end);
        continue;
      }
      scalars_[num_kept] = scalar;
      class_between = scalar.combining_class;
      if (scalar.combining_class == 0) {
        starter = &scalars_[num_kept];
        class_between = kNothingBetween;
      }
      ++num_kept;
    }
    scalars_.resize(num_kept);
  }

  void make_sources_monotone() {
    int64_t last_end = 0;
    for (Scalar& scalar : scalars_) last_end = scalar.source.end = std::max(last_end, scalar.source.end);
    int64_t next_begin = last_end;
    for (Scalar& scalar : std::views::reverse(scalars_)) {
      next_begin = scalar.source.begin = std::min(next_begin, scalar.source.begin);
    }
  }

  std::vector<Scalar> scalars_;
};

struct Segment {
  size_t begin = 0;
  size_t end = 0;
};

size_t skip_ascii(std::string_view text, size_t offset) {
  for (; offset + sizeof(uint64_t) <= text.size(); offset += sizeof(uint64_t)) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, text.data() + offset, sizeof(bytes));
    if ((bytes & 0x8080808080808080) != 0) break;
  }
  while (offset < text.size() && static_cast<uint8_t>(text[offset]) < 0x80) ++offset;
  return offset;
}

// The first segment from `offset`, which no segment reaches over, that may change; empty and at the end if none does.
Segment find_segment(std::string_view text, size_t offset) {
  size_t begin = offset;
  while (true) {
    const size_t after_ascii = skip_ascii(text, offset);
    if (after_ascii > offset) begin = after_ascii - 1;
    offset = after_ascii;
    if (offset == text.size()) return {.begin = offset, .end = offset};
    const DecodedCodePoint decoded = decode_code_point(text, offset);
    if (changes_before(decoded.code_point)) break;
    begin = offset;
    offset += decoded.num_bytes;
  }
  while (offset < text.size()) {
    const DecodedCodePoint decoded = decode_code_point(text, offset);
    if (!changes_before(decoded.code_point)) break;
    offset += decoded.num_bytes;
  }
  return {.begin = begin, .end = offset};
}

// Writes the normalised text piece by piece, with the sources of its bytes if they are wanted.
class Output {
 public:
  Output(NormalizedText& result, bool wants_sources) : result_(result), wants_sources_(wants_sources) {}

  void copy(std::string_view text, size_t begin, size_t end) {
    result_.text.append(text, begin, end - begin);
    if (!wants_sources_) return;
    for (auto i = static_cast<int64_t>(begin); i < static_cast<int64_t>(end); ++i) {
      result_.sources.push_back({.begin = i, .end = i + 1});
    }
  }

  void append(const SegmentNormalizer::Scalar& scalar) {
    append_utf8(scalar.code_point, result_.text);
    if (wants_sources_) result_.sources.resize(result_.text.size(), scalar.source);
  }

 private:
  NormalizedText& result_;
  bool wants_sources_;
};

bool equals(const std::vector<SegmentNormalizer::Scalar>& scalars, std::string_view text) {
  size_t offset = 0;
  for (const SegmentNormalizer::Scalar& scalar : scalars) {
    if (offset == text.size()) return false;
    const DecodedCodePoint decoded = decode_code_point(text, offset);
    if (decoded.code_point != scalar.code_point) return false;
    offset += decoded.num_bytes;
  }
  return offset == text.size();
}

NormalizedText normalize(std::string_view text, bool wants_sources) {
  NormalizedText result;
  Output output(result, wants_sources);
  SegmentNormalizer normalizer;
  size_t num_copied = 0;  // bytes of `text` that are in the output, changed or not
  for (Segment segment = find_segment(text, 0); segment.begin < text.size();
       segment = find_segment(text, segment.end)) {
    const auto& scalars = normalizer.normalize(text, segment.begin, segment.end);
    if (equals(scalars, text.substr(segment.begin, segment.end - segment.begin))) continue;
    output.copy(text, num_copied, segment.begin);
    for (const SegmentNormalizer::Scalar& scalar : scalars) output.append(scalar);
    num_copied = segment.end;
  }
  if (num_copied == 0) return {.text = std::string(text), .sources = {}};
  output.copy(text, num_copied, text.size());
  return result;
}

}  // namespace

std::string normalize_nfc(std::string_view text) { return normalize(text, /*wants_sources=*/false).text; }

NormalizedText normalize_nfc_with_sources(std::string_view text) { return normalize(text, /*wants_sources=*/true); }

bool may_change_before(char32_t code_point) { return changes_before(code_point); }

}  // namespace prm_score
