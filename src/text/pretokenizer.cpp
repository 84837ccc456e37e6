// How a pattern is run, on the example of \p{L}+|\p{N} and the text "aé1-":
//
//   sets        \p{L}, \p{N}
//   letters     0: in neither    1: in \p{L}    2: in \p{N}        (code points that no set tells apart)
//   pattern     \x01+|\x02
//   subject     01 01 02 00                                        (one byte per code point)
#include "prm_score/text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <limits>
#include <map>
#include <span>
#include <utility>

#include <pcre2.h>

#include "prm_score/error.h"
#include "prm_score/text/code_point_set.h"
#include "prm_score/text/split_pattern.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

// A match that takes more steps fails: nested quantifiers can take exponentially many. Measured: less than a second.
// The common patterns go back over a long word once, so a match may also take a few steps for each of its characters.
constexpr uint32_t kLeastMatchLimit = 50'000'000;
constexpr uint64_t kMatchLimitPerCharacter = 4;

uint32_t match_limit(size_t num_code_points) {
  const uint64_t limit = std::max<uint64_t>(kLeastMatchLimit, kMatchLimitPerCharacter * num_code_points);
  return static_cast<uint32_t>(std::min<uint64_t>(limit, std::numeric_limits<uint32_t>::max()));
}

constexpr uint32_t kHeapLimitKib = 1 << 20;
// For backtracking into groups; single sets repeat without it. Where it does not do, the interpreter takes over.
constexpr size_t kJitStackBytes = 32 << 10, kMaxJitStackBytes = 64 << 20;

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// pretokenizer.h, cuts_are_local().
enum class CutLocality { kUnknown, kLocal, kLocalUnlessLetterFollows };

CutLocality cut_locality(std::string_view pattern) {
  if (pattern == kGpt2Pattern || pattern == kQwen2Pattern || pattern == kLlama3Pattern) return CutLocality::kLocal;
  if (pattern == kTekkenPattern) return CutLocality::kLocalUnlessLetterFollows;
  return CutLocality::kUnknown;
}

// The letters of the alphabet in which a pattern sees text: code points that no set of the pattern tells apart.
struct Alphabet {
  std::vector<uint8_t> letter_of;             // [kMaxCodePoint + 1]
  std::vector<std::vector<uint8_t>> letters;  // [number of sets]: the letters of each set, ascending
};

constexpr size_t kMaxLetters = 256;

Alphabet make_alphabet(std::span<const CodePointSet> sets, std::string_view file_and_field) {
  std::vector<char32_t> bounds = {0, kMaxCodePoint + 1};  // between two of them all code points are in the same sets
  for (const CodePointSet& set : sets) bounds.insert(bounds.end(), set.bounds().begin(), set.bounds().end());
  std::ranges::sort(bounds);
  bounds.erase(std::ranges::unique(bounds).begin(), bounds.end());

  Alphabet alphabet{.letter_of = std::vector<uint8_t>(kMaxCodePoint + 1), .letters = {}};
  alphabet.letters.resize(sets.size());
  std::map<std::vector<bool>, uint8_t> known;  // membership in each set -> letter
  for (size_t i = 0; i + 1 < bounds.size(); ++i) {
    std::vector<bool> membership;
    for (const CodePointSet& set : sets) membership.push_back(set.contains(bounds[i]));
    const auto [entry, is_new] = known.try_emplace(membership, static_cast<uint8_t>(known.size()));
    if (known.size() > kMaxLetters) {
      throw Error(std::string(file_and_field) + ": split pattern: expected at most " + std::to_string(kMaxLetters) +
                  " kinds of characters told apart, got more");
    }
    std::fill(alphabet.letter_of.begin() + bounds[i], alphabet.letter_of.begin() + bounds[i + 1], entry->second);
    for (size_t set = 0; is_new && set < sets.size(); ++set) {
      if (membership[set]) alphabet.letters[set].push_back(entry->second);
    }
  }
  return alphabet;
}

std::string hex_byte(uint8_t byte) {
  std::array<char, 5> text{};
  std::snprintf(text.data(), text.size(), "\\x%02x", byte);
  return text.data();
}

// One set as PCRE2 writes it.
std::string byte_class(std::span<const uint8_t> letters) {
  if (letters.empty()) return "[^\\x00-\\xff]";
  if (letters.size() == 1) return hex_byte(letters[0]);
  std::string result = "[";
  for (const uint8_t letter : letters) result += hex_byte(letter);
  return result + "]";
}

std::string rewrite(const SplitPattern& pattern, const Alphabet& alphabet) {
  std::string result;
  for (const PatternPart& part : pattern.parts) {
    result += part.set == PatternPart::kNoSet ? part.syntax : byte_class(alphabet.letters[part.set]);
  }
  return result;
}

std::string pcre2_message(int error_code) {
  std::array<PCRE2_UCHAR, 256> message{};
  pcre2_get_error_message(error_code, message.data(), message.size());
  return reinterpret_cast<const char*>(message.data());
}

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
using CodePtr = std::unique_ptr<pcre2_code, CodeDeleter>;

CodePtr compile(const std::string& byte_pattern, std::string_view pattern, std::string_view file_and_field) {
  int error_code = 0;
  PCRE2_SIZE error_offset = 0;
  CodePtr code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(byte_pattern.data()), byte_pattern.size(),
                             PCRE2_NEVER_UTF | PCRE2_NEVER_UCP, &error_code, &error_offset, nullptr));
  if (code == nullptr) {
    throw Error(std::string(file_and_field) + ": split pattern: expected a valid pattern, got " + std::string(pattern) +
                ": " + pcre2_message(error_code));
  }
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where there is no JIT, pcre2_match interprets
  return code;
}

// What a thread needs to match; any pattern may use it.
class MatchScratch {
 public:
  MatchScratch() {
    pcre2_set_heap_limit(context_, kHeapLimitKib);
    pcre2_jit_stack_assign(context_, nullptr, jit_stack_);
  }
  ~MatchScratch() {
    pcre2_jit_stack_free(jit_stack_);
    pcre2_match_context_free(context_);
    pcre2_match_data_free(data_);
  }
  MatchScratch(const MatchScratch&) = delete;
  MatchScratch& operator=(const MatchScratch&) = delete;

  // Of every match from now on; for a text of so many characters.
  void set_match_limit(size_t num_code_points) { pcre2_set_match_limit(context_, match_limit(num_code_points)); }

  // Looks for the first match in `subject` from `begin`. PCRE2's result: positive, PCRE2_ERROR_NOMATCH or an error.
  int match(const pcre2_code* code, std::span<const uint8_t> subject, size_t begin) {
    int result = pcre2_match(code, subject.data(), subject.size(), begin, 0, data_, context_);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
      result = pcre2_match(code, subject.data(), subject.size(), begin, PCRE2_NO_JIT, data_, context_);
    }
    return result;
  }

  [[nodiscard]] size_t match_begin() const { return pcre2_get_ovector_pointer(data_)[0]; }
  [[nodiscard]] size_t match_end() const { return pcre2_get_ovector_pointer(data_)[1]; }

 private:
  pcre2_match_data* data_ = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context_ = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* jit_stack_ = pcre2_jit_stack_create(kJitStackBytes, kMaxJitStackBytes, nullptr);
};

// Turns ascending offsets in code points into offsets in bytes.
class OffsetMapper {
 public:
  OffsetMapper(std::string_view text, size_t num_code_points)
      : text_(text), is_ascii_(text.size() == num_code_points) {}

  int64_t to_bytes(size_t code_point_offset) {
    if (is_ascii_) return static_cast<int64_t>(code_point_offset);
    for (; code_points_ < code_point_offset; ++code_points_) {
      do {
        ++bytes_;
      } while (bytes_ < text_.size() && (static_cast<uint8_t>(text_[bytes_]) & 0xC0) == 0x80);
    }
    return static_cast<int64_t>(bytes_);
  }

 private:
  std::string_view text_;
  bool is_ascii_;
  size_t code_points_ = 0;
  size_t bytes_ = 0;
};

}  // namespace

struct Pretokenizer::Impl {
  std::string file_and_field;
  Alphabet alphabet;
  CodePtr code;
  CutLocality cut_locality = CutLocality::kUnknown;

  std::vector<uint8_t> subject_of(std::string_view text) const;
  void fail(int error_code, size_t begin, size_t num_code_points) const;
};

// One letter per code point.
std::vector<uint8_t> Pretokenizer::Impl::subject_of(std::string_view text) const {
  std::vector<uint8_t> subject(text.size());
  size_t num_code_points = 0;
  for (size_t offset = 0; offset < text.size();) {
    const auto byte = static_cast<uint8_t>(text[offset]);
    if (byte < 0x80) {
      subject[num_code_points++] = alphabet.letter_of[byte];
      ++offset;
    } else {
      const DecodedCodePoint decoded = decode_code_point(text, offset);
      subject[num_code_points++] = alphabet.letter_of[decoded.code_point];
      offset += decoded.num_bytes;
    }
  }
  subject.resize(num_code_points);
  return subject;
}

void Pretokenizer::Impl::fail(int error_code, size_t begin, size_t num_code_points) const {
  throw Error(file_and_field + ": split pattern: expected a match in at most " +
              std::to_string(match_limit(num_code_points)) + " steps, got " + pcre2_message(error_code) +
              " at character " + std::to_string(begin) + " of a text of " + std::to_string(num_code_points));
}

Pretokenizer::Pretokenizer(std::string_view pattern, std::string_view file_and_field)
    : impl_(std::make_unique<Impl>()) {
  const SplitPattern split_pattern = parse_split_pattern(pattern, file_and_field);
  impl_->file_and_field = file_and_field;
  impl_->alphabet = make_alphabet(split_pattern.sets, file_and_field);
  impl_->code = compile(rewrite(split_pattern, impl_->alphabet), pattern, file_and_field);
  impl_->cut_locality = cut_locality(pattern);
}

Pretokenizer::~Pretokenizer() = default;
Pretokenizer::Pretokenizer(Pretokenizer&&) noexcept = default;
Pretokenizer& Pretokenizer::operator=(Pretokenizer&&) noexcept = default;

bool Pretokenizer::cuts_are_local(std::string_view tail) const {
  if (impl_->cut_locality != CutLocality::kLocalUnlessLetterFollows) return impl_->cut_locality == CutLocality::kLocal;
  if (tail.empty()) return true;
  const char category = general_category(decode_code_point(tail, 0).code_point)[0];
  return category != 'L' && category != 'M';
}

// Matches follow each other as in the reference's find_iter: an empty match right after a match does not count, the
// search goes on one character further.
void Pretokenizer::split(std::string_view text, std::vector<int64_t>& piece_ends) const {
  thread_local MatchScratch scratch;
  const std::vector<uint8_t> subject = impl_->subject_of(text);
  scratch.set_match_limit(subject.size());
  OffsetMapper mapper(text, subject.size());
  size_t piece_begin = 0;
  const auto end_piece = [&](size_t end) {
    if (end > piece_begin) piece_ends.push_back(mapper.to_bytes(end));
    piece_begin = end;
  };

  bool is_after_match = false;
  for (size_t begin = 0; begin <= subject.size();) {
    const int result = scratch.match(impl_->code.get(), subject, begin);
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0) impl_->fail(result, begin, subject.size());
    const size_t match_begin = scratch.match_begin(), match_end = scratch.match_end();
    if (match_begin == match_end && is_after_match && match_end == piece_begin) {
      ++begin;
      continue;
    }
    end_piece(match_begin);
    end_piece(match_end);
    is_after_match = true;
    begin = match_end;
  }
  end_piece(subject.size());
}

}  // namespace prm_score
