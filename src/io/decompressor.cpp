#include "prm_score/io/decompressor.h"

#include <algorithm>
#include <array>
#include <utility>

#include <zlib.h>
#include <zstd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kGzip = "\x1f\x8b"sv, kZstd = "\x28\xb5\x2f\xfd"sv;
constexpr std::pair<std::string_view, const char*> kOthers[] = {
    {"\xfd\x37\x7a\x58\x5a\x00"sv, "xz"}, {"BZh"sv, "bzip2"}, {"PK\x03\x04"sv, "zip"}};

class GzipDecompressor final : public Decompressor {
 public:
  GzipDecompressor() {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream_, kGzipOnly + MAX_WBITS) != Z_OK) throw Error("gzip: no memory");
  }
  ~GzipDecompressor() override { inflateEnd(&stream_); }
  GzipDecompressor(const GzipDecompressor&) = delete;
  GzipDecompressor& operator=(const GzipDecompressor&) = delete;

  Moved move(std::string_view compressed, std::span<char> plain) override {
    if (is_whole_ && !compressed.empty()) {
      if (compressed.front() == '\0') return {.num_taken = num_zeros(compressed)};  // what tapes are filled up with
      if (inflateReset(&stream_) != Z_OK) throw Error("gzip: no memory");
      is_whole_ = false;
    }
    // zlib does not write to its input, but its type says so.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
    stream_.avail_in = static_cast<uInt>(compressed.size());
    stream_.next_out = reinterpret_cast<Bytef*>(plain.data());
    stream_.avail_out = static_cast<uInt>(plain.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) is_whole_ = true;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      throw Error(std::string("gzip: ") + (stream_.msg != nullptr ? stream_.msg : "no memory"));
    }
    return {.num_taken = compressed.size() - stream_.avail_in, .num_given = plain.size() - stream_.avail_out};
  }

  bool is_whole() const override { return is_whole_; }
  const char* name() const override { return "gzip"; }

 private:
  static size_t num_zeros(std::string_view bytes) { return std::min(bytes.find_first_not_of('\0'), bytes.size()); }

  z_stream stream_ = {};
  bool is_whole_ = false;
};

class ZstdDecompressor final : public Decompressor {
 public:
  ZstdDecompressor() : stream_(ZSTD_createDStream()) {
    if (!stream_) throw Error("zstd: no memory");
  }

  Moved move(std::string_view compressed, std::span<char> plain) override {
    ZSTD_inBuffer in = {compressed.data(), compressed.size(), 0};
    ZSTD_outBuffer out = {plain.data(), plain.size(), 0};
    const size_t result = ZSTD_decompressStream(stream_.get(), &out, &in);
    if (ZSTD_isError(result) != 0) throw Error(std::string("zstd: ") + ZSTD_getErrorName(result));
    if (in.pos > 0 || out.pos > 0) is_whole_ = result == 0;
    return {.num_taken = in.pos, .num_given = out.pos};
  }

  bool is_whole() const override { return is_whole_; }
  const char* name() const override { return "zstd"; }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  bool is_whole_ = false;
};

}  // namespace

bool may_be_compressed(std::string_view first_bytes) {
  return std::ranges::any_of(std::array{kGzip, kZstd}, [&](std::string_view magic) {
    return first_bytes.size() < magic.size() && magic.starts_with(first_bytes);
  });
}

std::unique_ptr<Decompressor> make_decompressor(std::string_view first_bytes) {
  if (first_bytes.starts_with(kGzip)) return std::make_unique<GzipDecompressor>();
  if (first_bytes.starts_with(kZstd)) return std::make_unique<ZstdDecompressor>();
  for (const auto& [magic, name] : kOthers) {
    if (first_bytes.starts_with(magic)) {
      throw Error(std::string("expected JSON lines, plain or compressed by gzip or zstd, found ") + name);
    }
  }
  return nullptr;
}

}  // namespace prm_score
