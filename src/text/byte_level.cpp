#include "prm_score/text/byte_level.h"

#include <array>

#include "prm_score/text/unicode.h"

namespace prm_score {
namespace {

constexpr char32_t kFirstStandIn = 0x100;
constexpr int kNumStandIns = 68;

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Alphabet {
  std::array<char32_t, 256> chars{};
  std::array<int, kFirstStandIn + kNumStandIns> bytes{};  // -1: not of the alphabet
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (int& byte : alphabet.bytes) byte = -1;
  char32_t next_stand_in = kFirstStandIn;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t c = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next_stand_in++;
    alphabet.chars[static_cast<size_t>(byte)] = c;
    alphabet.bytes[c] = byte;
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

char32_t byte_level_char(unsigned char byte) { return kAlphabet.chars[byte]; }

std::optional<std::string> byte_level_bytes(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t offset = 0; offset < token.size();) {
    const DecodedCodePoint c = decode_code_point(token, offset);
    if (!c.is_valid || c.code_point >= kAlphabet.bytes.size() || kAlphabet.bytes[c.code_point] < 0) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<char>(kAlphabet.bytes[c.code_point]));
    offset += static_cast<size_t>(c.num_bytes);
  }
  return bytes;
}

std::string byte_level_decode(std::string_view token) { return byte_level_bytes(token).value_or(std::string(token)); }

}  // namespace prm_score
