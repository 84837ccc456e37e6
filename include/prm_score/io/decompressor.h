// decompressor.h - gzip and zstd, known by their first bytes, piece by piece in bounded memory.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace prm_score {

// Not thread-safe.
class Decompressor {
 public:
  struct Moved {
    size_t num_taken = 0, num_given = 0;
  };

  virtual ~Decompressor() = default;

  // Takes some of `compressed` and writes to the beginning of `plain`. Neither is taken nor given only if all of
  // `compressed` is empty or taken. Several compressed streams one behind the other are one. Throws Error `gzip: ..`
  // for bytes that are none.
  [[nodiscard]] virtual Moved move(std::string_view compressed, std::span<char> plain) = 0;

  // Whether a stream may end here: nothing is missing.
  [[nodiscard]] virtual bool is_whole() const = 0;

  // "gzip"
  [[nodiscard]] virtual const char* name() const = 0;
};

// Whether more bytes are needed to tell what a file is that begins like this.
[[nodiscard]] bool may_be_compressed(std::string_view first_bytes);

// nullptr if the bytes are those of no compressed file. Throws Error for formats that are known but not read, which no
// text begins like: xz, bzip2, zip.
[[nodiscard]] std::unique_ptr<Decompressor> make_decompressor(std::string_view first_bytes);

}  // namespace prm_score
