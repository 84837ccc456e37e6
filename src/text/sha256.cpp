#include "prm_score/text/sha256.h"

#include <array>

#include <openssl/evp.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

void expect_success(int result) {
  if (result != 1) throw Error("sha256: the crypto library refused to compute a digest");
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

Context make_context() {
  Context context(EVP_MD_CTX_new());
  expect_success(context ? 1 : 0);
  return context;
}

}  // namespace

struct Sha256::Impl {
  Context running = make_context();
  Context copy = make_context();
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  expect_success(EVP_DigestInit_ex(impl_->running.get(), EVP_sha256(), nullptr));
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
  expect_success(EVP_DigestUpdate(impl_->running.get(), bytes.data(), bytes.size()));
}

std::string Sha256::hex() const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int num_bytes = 0;
  expect_success(EVP_MD_CTX_copy_ex(impl_->copy.get(), impl_->running.get()));
  expect_success(EVP_DigestFinal_ex(impl_->copy.get(), digest.data(), &num_bytes));
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(size_t{2} * num_bytes);
  for (unsigned int i = 0; i < num_bytes; ++i) {
    hex.push_back(kHexDigits[digest[i] >> 4]);
    hex.push_back(kHexDigits[digest[i] & 15]);
  }
  return hex;
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 sha256;
  sha256.update(bytes);
  return sha256.hex();
}

std::string sha256_base64(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int num_bytes = 0;
  expect_success(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &num_bytes, EVP_sha256(), nullptr));
  std::array<unsigned char, EVP_MAX_MD_SIZE * 2> base64{};
  const int length = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(num_bytes));
  return {base64.begin(), base64.begin() + length};
}

}  // namespace prm_score
