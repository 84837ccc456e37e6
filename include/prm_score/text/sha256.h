// sha256.h - SHA-256 (FIPS 180-4), for fingerprints of tokenizer files, templates and inputs.
#pragma once

#include <string>
#include <string_view>

namespace prm_score {

// Digest of `bytes` as 64 lower-case hexadecimal digits. Thread-safe. Throws Error if the crypto library refuses.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace prm_score
