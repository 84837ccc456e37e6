#include "prm_score/text/unicode.h"

#include <algorithm>
#include <cassert>
#include <span>

#include "unicode_tables.h"

namespace prm_score {
namespace {

uint32_t run_value(std::span<const uint32_t> runs, char32_t code_point) {
  assert(code_point <= kMaxCodePoint);
  const auto after = std::ranges::upper_bound(runs, uint32_t{code_point} << 8 | 0xFF);
  return *(after - 1) & 0xFF;  // the first run starts at 0
}

// What a first byte says of its character: number of bytes (0: no such first byte) and the range of the second byte,
// which keeps out overlong forms, surrogates and code points over U+10FFFF (Unicode 16, table 3-7).
struct LeadByte {
  int num_bytes = 0;
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xBF;
};

LeadByte lead_byte(uint8_t byte) {
  if (byte < 0x80) return {.num_bytes = 1};
  if (byte < 0xC2) return {};
  if (byte < 0xE0) return {.num_bytes = 2};
  if (byte == 0xE0) return {.num_bytes = 3, .second_min = 0xA0};
  if (byte == 0xED) return {.num_bytes = 3, .second_max = 0x9F};
  if (byte < 0xF0) return {.num_bytes = 3};
  if (byte == 0xF0) return {.num_bytes = 4, .second_min = 0x90};
  if (byte < 0xF4) return {.num_bytes = 4};
  if (byte == 0xF4) return {.num_bytes = 4, .second_max = 0x8F};
  return {};
}

}  // namespace

std::string_view unicode_version() { return unicode_tables::version(); }

DecodedCodePoint decode_code_point(std::string_view text, size_t offset) {
  assert(offset < text.size());
  const auto first = static_cast<uint8_t>(text[offset]);
  const LeadByte lead = lead_byte(first);
  if (lead.num_bytes == 1) return {.code_point = first, .num_bytes = 1};

  char32_t code_point = first & (0x7F >> lead.num_bytes);
  for (int i = 1; i < lead.num_bytes; ++i) {
    const auto byte = offset + i < text.size() ? static_cast<uint8_t>(text[offset + i]) : uint8_t{0};
    const bool is_valid = i == 1 ? byte >= lead.second_min && byte <= lead.second_max : byte >= 0x80 && byte <= 0xBF;
    if (!is_valid) return {.code_point = kReplacementCharacter, .num_bytes = i, .is_valid = false};
    code_point = code_point << 6 | (byte & 0x3F);
  }
  if (lead.num_bytes == 0) return {.code_point = kReplacementCharacter, .num_bytes = 1, .is_valid = false};
  return {.code_point = code_point, .num_bytes = lead.num_bytes};
}

void append_utf8(char32_t code_point, std::string& text) {
  const auto append = [&text](char32_t byte) { text += static_cast<char>(byte); };
  if (code_point < 0x80) return append(code_point);
  if (code_point < 0x800) {
    append(0xC0 | code_point >> 6);
  } else {
    if (code_point < 0x10000) {
      append(0xE0 | code_point >> 12);
    } else {
      append(0xF0 | code_point >> 18);
      append(0x80 | (code_point >> 12 & 0x3F));
    }
    append(0x80 | (code_point >> 6 & 0x3F));
  }
  append(0x80 | (code_point & 0x3F));
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (size_t offset = 0; offset < bytes.size();) {
    const DecodedCodePoint decoded = decode_code_point(bytes, offset);
    if (decoded.is_valid) {
      text.append(bytes, offset, decoded.num_bytes);
    } else {
      append_utf8(kReplacementCharacter, text);
    }
    offset += decoded.num_bytes;
  }
  return text;
}

std::string_view general_category(char32_t code_point) {
  return unicode_tables::kCategoryNames[run_value(unicode_tables::category_runs(), code_point)];
}

bool is_white_space(char32_t code_point) { return run_value(unicode_tables::white_space_runs(), code_point) == 1; }

std::vector<char32_t> case_variants(char character) {
  const auto lower = static_cast<char>(character >= 'A' && character <= 'Z' ? character + ('a' - 'A') : character);
  if (lower < 'a' || lower > 'z') return {static_cast<uint8_t>(character)};
  std::vector<char32_t> variants = {static_cast<char32_t>(lower), static_cast<char32_t>(lower - ('a' - 'A'))};
  for (const unicode_tables::CaseVariant& variant : unicode_tables::case_variants()) {
    if (variant.letter == lower) variants.push_back(variant.code_point);
  }
  return variants;
}

}  // namespace prm_score
