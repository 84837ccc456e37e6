#include "prm_score/text/sha256.h"

#include <string>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

// Values of FIPS 180-2, appendix B, and of the empty message.
TEST(Sha256Hex, GivesThePublishedDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Hex, TakesBytesThatAreZero) {
  EXPECT_EQ(sha256_hex(std::string_view("\0", 1)), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

// The published digest of "abc" again, three bytes in four characters.
TEST(Sha256Base64, IsTheSameDigest) { EXPECT_EQ(sha256_base64("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="); }

}  // namespace
}  // namespace prm_score
