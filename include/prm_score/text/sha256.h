// sha256.h - SHA-256 (FIPS 180-4), for fingerprints of checkpoints, tokenizer files, templates and inputs.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace prm_score {

// Digest of `bytes` as 64 lower-case hexadecimal digits. Thread-safe. Throws Error if the crypto library refuses.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

// The same in base64, as a Content-Security-Policy has it.
[[nodiscard]] std::string sha256_base64(std::string_view bytes);

// The same piece by piece. Throws Error as above. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);

  // Of all bytes so far; more may follow.
  [[nodiscard]] std::string hex() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace prm_score
