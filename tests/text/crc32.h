// crc32.h - the CRC-32 of zlib and Python's zlib.crc32, by which golden files keep long results short.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace prm_score {

// CRC of what came before and `bytes`; the first one starts with 0.
inline uint32_t crc32(std::string_view bytes, uint32_t crc = 0) {
  static constexpr auto kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
      table[i] = i;
      for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xEDB88320U : 0U);
    }
    return table;
  }();
  crc = ~crc;
  for (const char byte : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xFF];
  return ~crc;
}

}  // namespace prm_score
