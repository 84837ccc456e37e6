#include "prm_score/text/added_tokens.h"

#include <algorithm>

#include "prm_score/error.h"
#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

// The start of the character that ends before text[end]; end > 0.
size_t previous_character(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

size_t skip_white_space_back(std::string_view text, size_t end, size_t least) {
  while (end > least) {
    const size_t begin = previous_character(text, end);
    if (begin < least || !is_white_space(decode_code_point(text, begin).code_point)) break;
    end = begin;
  }
  return end;
}

size_t skip_white_space(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    const DecodedCodePoint c = decode_code_point(text, begin);
    if (!is_white_space(c.code_point)) break;
    begin += static_cast<size_t>(c.num_bytes);
  }
  return begin;
}

bool word_character_ends_at(std::string_view text, size_t end) {
  return end > 0 && is_word_character(decode_code_point(text, previous_character(text, end)).code_point);
}

bool word_character_begins_at(std::string_view text, size_t begin) {
  return begin < text.size() && is_word_character(decode_code_point(text, begin).code_point);
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::span<const AddedToken> tokens, SpecialTokens special_tokens)
    : tokens_(tokens.begin(), tokens.end()), special_tokens_(special_tokens) {
  std::ranges::sort(tokens_, {}, &AddedToken::content);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& content = tokens_[i].content;
    if (content.empty()) throw Error("expected some content, got \"\"");
    if (i > 0 && content == tokens_[i - 1].content) {
      throw Error("expected contents that differ, got \"" + content + "\" twice");
    }
    is_first_byte_[static_cast<unsigned char>(content[0])] = true;
    max_bytes_ = std::max(max_bytes_, content.size());
  }
}

void AddedTokenMatcher::find(std::string_view text, std::vector<AddedTokenMatch>& matches) const {
  if (tokens_.empty()) return;
  size_t taken = 0;  // end of what matches have taken so far
  for (size_t i = 0; i < text.size();) {
    const bool may_begin = is_first_byte_[static_cast<unsigned char>(text[i])];
    const AddedToken* token = may_begin ? longest_prefix(text.substr(i)) : nullptr;
    if (!token) {
      ++i;
      continue;
    }
    size_t begin = i;
    size_t end = i + token->content.size();
    i = end;
    if (!is_accepted(*token, text, begin)) continue;
    if (token->lstrip) begin = std::max(taken, skip_white_space_back(text, begin, 0));
    if (token->rstrip) end = skip_white_space(text, end);
    end = std::max(begin, end);
    matches.push_back({token->id, static_cast<int64_t>(begin), static_cast<int64_t>(end)});
    taken = end;
  }
}

bool AddedTokenMatcher::may_pass_over(std::string_view text, size_t offset) const {
  if (special_tokens_ == SpecialTokens::kParse || tokens_.empty()) return false;
  for (size_t back = 1; back < max_bytes_ && back <= offset; ++back) {
    const size_t begin = offset - back;
    if (!is_first_byte_[static_cast<unsigned char>(text[begin])]) continue;
    const AddedToken* token = longest_prefix(text.substr(begin));
    if (token && token->special && token->content.size() > back) return true;
  }
  return false;
}

bool AddedTokenMatcher::has_single_word() const { return std::ranges::any_of(tokens_, &AddedToken::single_word); }

bool AddedTokenMatcher::has_plain_special() const {
  return special_tokens_ == SpecialTokens::kText && std::ranges::any_of(tokens_, &AddedToken::special);
}

const AddedToken* AddedTokenMatcher::longest_prefix(std::string_view text) const {
  const AddedToken* longest = nullptr;
  auto first = tokens_.begin();
  auto last = tokens_.end();
  // Narrows [first, last) to the tokens that begin with text[0:depth].
  for (size_t depth = 0; first != last; ++depth) {
    if (first->content.size() == depth) longest = &*first++;
    if (depth == text.size() || first == last) break;
    const auto byte_at_depth = [depth](const AddedToken& token) {
      return static_cast<unsigned char>(token.content[depth]);
    };
    const auto range =
        std::ranges::equal_range(first, last, static_cast<unsigned char>(text[depth]), {}, byte_at_depth);
    first = range.begin();
    last = range.end();
  }
  return longest;
}

bool AddedTokenMatcher::is_accepted(const AddedToken& token, std::string_view text, size_t begin) const {
  if (token.special && special_tokens_ == SpecialTokens::kText) return false;
  return !token.single_word ||
         !(word_character_ends_at(text, begin) || word_character_begins_at(text, begin + token.content.size()));
}

bool is_word_character(char32_t code_point) {
  constexpr char32_t kZeroWidthNonJoiner = 0x200C, kZeroWidthJoiner = 0x200D;
  const std::string_view category = general_category(code_point);
  if (category[0] == 'L' || category[0] == 'M' || category == "Nd" || category == "Nl" || category == "Pc") return true;
  if (code_point == kZeroWidthNonJoiner || code_point == kZeroWidthJoiner) return true;
  // Other_Alphabetic beyond the marks: letters in circles and squares, which are symbols by category.
  return (code_point >= 0x24B6 && code_point <= 0x24E9) || (code_point >= 0x1F130 && code_point <= 0x1F149) ||
         (code_point >= 0x1F150 && code_point <= 0x1F169) || (code_point >= 0x1F170 && code_point <= 0x1F189);
}

}  // namespace prm_score
