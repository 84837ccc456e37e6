// byte_level.h - the alphabet in which tokenizer.json spells bytes: one printable character per byte.
//
// Source: GPT-2's `bytes_to_unicode`. The bytes !..~, 0xA1..0xAC and 0xAE..0xFF stand for themselves as code points,
// the other 68 in ascending order for U+0100, U+0101, ..: a space is U+0120, a newline U+010A.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace prm_score {

// The character that stands for `byte`.
[[nodiscard]] char32_t byte_level_char(unsigned char byte);

// The bytes that `token` (UTF-8) spells; nullopt if any of its characters is not of the alphabet. Thread-safe.
[[nodiscard]] std::optional<std::string> byte_level_bytes(std::string_view token);

// What `token` adds to a decoded text: the bytes it spells, or its own UTF-8 if it does not spell any, as the
// reference's `ByteLevel` decoder has it.
[[nodiscard]] std::string byte_level_decode(std::string_view token);

}  // namespace prm_score
