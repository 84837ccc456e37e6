#include "prm_score/text/sha256.h"

#include <array>

#include <openssl/evp.h>

#include "prm_score/error.h"

namespace prm_score {

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int num_bytes = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &num_bytes, EVP_sha256(), nullptr) != 1) {
    throw Error("sha256: the crypto library refused to compute a digest");
  }
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(size_t{2} * num_bytes);
  for (unsigned int i = 0; i < num_bytes; ++i) {
    hex.push_back(kHexDigits[digest[i] >> 4]);
    hex.push_back(kHexDigits[digest[i] & 15]);
  }
  return hex;
}

}  // namespace prm_score
