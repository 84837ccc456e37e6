// Compiled with -O3 -ffp-contract=off (src/CMakeLists.txt).
#include "prm_score/model/int8_products.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "vectorised.h"
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace prm_score {
namespace {

constexpr int64_t kOutputGroup = kInt8PackedOutputs;  // outputs of a block
constexpr int64_t kInputGroup = 64;                   // inputs of a block
constexpr int64_t kTileBytes = 1024;                  // 16 outputs of kInputGroup inputs
constexpr int64_t kBlockBytes = 2 * kTileBytes;       // kOutputGroup outputs of kInputGroup inputs
constexpr int64_t kTileOutputs = kOutputGroup / 2;
constexpr int32_t kOffset = 128;  // a weight w is the byte w + kOffset
constexpr float kLargest = 127.0F;
constexpr float kRotationSquared = kInputGroup;  // H H
constexpr uintptr_t kAlignment = 64;

// --- Quantising ---

using Lanes = float __attribute__((vector_size(32)));
using LaneBits = int32_t __attribute__((vector_size(32)));
constexpr int64_t kLanes = 8;

// In every 2 * kStride lanes: sums in the first half, differences in the second.
template <int kStride>
PRM_SCORE_INLINED void butterfly(Lanes& x) {
  LaneBits signs;
  for (int lane = 0; lane < kLanes; ++lane) {
    signs[lane] = (lane & kStride) != 0 ? std::numeric_limits<int32_t>::min() : 0;
  }
  const Lanes others = __builtin_shufflevector(x, x, 0 ^ kStride, 1 ^ kStride, 2 ^ kStride, 3 ^ kStride, 4 ^ kStride,
                                               5 ^ kStride, 6 ^ kStride, 7 ^ kStride);
  x = others + reinterpret_cast<Lanes>(reinterpret_cast<LaneBits>(x) ^ signs);
}

// Each number is one sum or difference of two of the stage before: the bits are the same with any instructions.
PRM_SCORE_VECTORISED void rotate(float* numbers, int64_t size) {
  constexpr int64_t kNumVectors = kInputGroup / kLanes;
  for (int64_t group = 0; group < size; group += kInputGroup) {
    Lanes x[kNumVectors];
    std::memcpy(x, numbers + group, sizeof x);
#pragma GCC unroll 3
    for (int64_t stride = kNumVectors / 2; stride > 0; stride /= 2) {
#pragma GCC unroll 8
      for (int64_t i = 0; i < kNumVectors; ++i) {
        if ((i & stride) != 0) continue;
        const Lanes sum = x[i] + x[i + stride];
        x[i + stride] = x[i] - x[i + stride];
        x[i] = sum;
      }
    }
#pragma GCC unroll 8
    for (Lanes& lanes : x) {
      butterfly<4>(lanes);
      butterfly<2>(lanes);
      butterfly<1>(lanes);
    }
    std::memcpy(numbers + group, x, sizeof x);
  }
}

// The largest magnitude in the row; nan if one of its numbers is not finite.
PRM_SCORE_VECTORISED float max_magnitude(const float* row, int64_t size) {
  constexpr int32_t kInfinity = 0x7f800000;
  int32_t largest = 0;  // magnitudes are in the order of their bits, and nans above all
  for (int64_t i = 0; i < size; ++i) {
    const int32_t magnitude = std::bit_cast<int32_t>(row[i]) & 0x7fffffff;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest >= kInfinity ? std::numeric_limits<float>::quiet_NaN() : std::bit_cast<float>(largest);
}

// values = row / scale to the nearest integer, ties to even; their sum.
PRM_SCORE_VECTORISED int32_t round_row(const float* row, int64_t size, float inverse_scale, int8_t* values) {
  int32_t sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    const float shifted = row[i] * inverse_scale + kRoundToInteger;
    const int32_t value = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRoundToInteger);
    values[i] = static_cast<int8_t>(value);
    sum += value;
  }
  return sum;
}

struct Rounded {
  float scale;
  int32_t sum;
};

// Rotates and rounds. `rotated`: where to, of the padded size, as `values`.
Rounded quantize_row(const float* numbers, int64_t num_inputs, std::vector<float>& rotated, int8_t* values) {
  const auto size = std::ssize(rotated);
  float* const row = rotated.data();
  std::copy_n(numbers, num_inputs, row);
  std::fill_n(row + num_inputs, size - num_inputs, 0.0F);
  rotate(row, size);
  const float largest = max_magnitude(row, size);
  const float inverse_scale = kLargest / largest;
  // Zeros, numbers next to zero whose inverse has no room, and what is not finite: integers of 0.
  if (!std::isfinite(inverse_scale)) {
    std::memset(values, 0, size);
    return {.scale = std::isnan(largest) ? largest : 0.0F, .sum = 0};
  }
  return {.scale = largest / kLargest, .sum = round_row(row, size, inverse_scale, values)};
}

// --- Tiles: sums[r][n] = sum over k of a_r[k] * (w_n[k] + offset), for kInt8GroupRows rows and kOutputGroup outputs;
// the offset is kOffset, but for AVX2 0 ---

struct TileInputs {
  const int8_t* rows;     // the first row's integers
  int64_t row_stride;     // bytes
  const uint8_t* weight;  // blocks of kBlockBytes
  int64_t num_blocks;     // kInputGroup inputs each
};

using Sums = int32_t[kInt8GroupRows][kOutputGroup];
using TileFunction = void (*)(const TileInputs& in, Sums& sums);

int32_t four_inputs(const int8_t* values) {
  int32_t packed = 0;
  std::memcpy(&packed, values, sizeof packed);
  return packed;
}

void portable_tile(const TileInputs& in, Sums& sums) {
  std::memset(&sums, 0, sizeof sums);
  for (int64_t block = 0; block < in.num_blocks; ++block) {
    for (int64_t k = 0; k < kInputGroup; ++k) {
      const uint8_t* weight = in.weight + block * kBlockBytes + k / 4 * kInputGroup + k % 4;
      for (int64_t row = 0; row < kInt8GroupRows; ++row) {
        const int value{in.rows[row * in.row_stride + block * kInputGroup + k]};
        for (int64_t n = 0; n < kOutputGroup; ++n) {
          sums[row][n] += value * weight[n / kTileOutputs * kTileBytes + n % kTileOutputs * 4];
        }
      }
    }
  }
}

// Pairs of products are summed in 16 bits, with saturation: that has room for 2 * 127 * 127, so the factor without a
// sign is the row's magnitude, and the weight, less its offset, gets the sign.
__attribute__((target("avx2"))) void avx2_tile(const TileInputs& in, Sums& sums) {
  constexpr int64_t kRows = 4;
  const __m256i ones = _mm256_set1_epi16(1);
  const __m256i offsets = _mm256_set1_epi8(static_cast<char>(kOffset));
  for (int64_t half = 0; half < 2; ++half) {
    for (int64_t row = 0; row < kInt8GroupRows; row += kRows) {
      __m256i sum[kRows][2] = {};
      for (int64_t block = 0; block < in.num_blocks; ++block) {
        const uint8_t* tile = in.weight + block * kBlockBytes + half * kTileBytes;
        const int8_t* values = in.rows + row * in.row_stride + block * kInputGroup;
        for (int64_t k = 0; k < kInputGroup; k += 4, tile += 64) {
          const __m256i low = _mm256_xor_si256(_mm256_load_si256(reinterpret_cast<const __m256i*>(tile)), offsets);
          const __m256i high =
              _mm256_xor_si256(_mm256_load_si256(reinterpret_cast<const __m256i*>(tile + 32)), offsets);
#pragma GCC unroll 4
          for (int64_t r = 0; r < kRows; ++r) {
            const __m256i value = _mm256_set1_epi32(four_inputs(values + r * in.row_stride + k));
            const __m256i magnitude = _mm256_abs_epi8(value);
            const __m256i low_pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(low, value));
            const __m256i high_pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(high, value));
            sum[r][0] = _mm256_add_epi32(sum[r][0], _mm256_madd_epi16(low_pairs, ones));
            sum[r][1] = _mm256_add_epi32(sum[r][1], _mm256_madd_epi16(high_pairs, ones));
          }
        }
      }
      for (int64_t r = 0; r < kRows; ++r) {
        for (int64_t part = 0; part < 2; ++part) {
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(&sums[row + r][half * kTileOutputs + part * 8]), sum[r][part]);
        }
      }
    }
  }
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) void avx512_vnni_tile(const TileInputs& in, Sums& sums) {
  constexpr int64_t kRows = 8;
  for (int64_t row = 0; row < kInt8GroupRows; row += kRows) {
    __m512i sum[kRows][2] = {};
    for (int64_t block = 0; block < in.num_blocks; ++block) {
      const uint8_t* tile = in.weight + block * kBlockBytes;
      const int8_t* values = in.rows + row * in.row_stride + block * kInputGroup;
      for (int64_t k = 0; k < kInputGroup; k += 4, tile += 64) {
        const __m512i left = _mm512_load_si512(tile), right = _mm512_load_si512(tile + kTileBytes);
#pragma GCC unroll 8
        for (int64_t r = 0; r < kRows; ++r) {
          const __m512i value = _mm512_set1_epi32(four_inputs(values + r * in.row_stride + k));
          sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], left, value);
          sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], right, value);
        }
      }
    }
    for (int64_t r = 0; r < kRows; ++r) {
      _mm512_storeu_si512(&sums[row + r][0], sum[r][0]);
      _mm512_storeu_si512(&sums[row + r][kTileOutputs], sum[r][1]);
    }
  }
}

// The compiler does not see what tile instructions read: what it holds back is to be in memory before.
inline void expose_memory() { asm volatile("" : : : "memory"); }

// Tiles 0 to 3 are sums, 4 and 5 rows, 6 and 7 weights; all have 16 rows of 64 bytes.
__attribute__((target("amx-tile,amx-int8"))) void amx_tile(const TileInputs& in, Sums& sums) {
  constexpr int64_t kTileRows = 16;
  expose_memory();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const int8_t* values = in.rows;
  const uint8_t* weight = in.weight;
  for (int64_t block = 0; block < in.num_blocks; ++block, values += kInputGroup, weight += kBlockBytes) {
    _tile_loadd(6, weight, 64);
    _tile_loadd(7, weight + kTileBytes, 64);
    _tile_loadd(4, values, in.row_stride);
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    _tile_loadd(5, values + kTileRows * in.row_stride, in.row_stride);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  constexpr int64_t kStride = kOutputGroup * sizeof(int32_t);
  _tile_stored(0, &sums[0][0], kStride);
  _tile_stored(1, &sums[0][kTileOutputs], kStride);
  _tile_stored(2, &sums[kTileRows][0], kStride);
  _tile_stored(3, &sums[kTileRows][kTileOutputs], kStride);
  expose_memory();
}

// The thread's tiles, while it lives.
class AmxTiles {
 public:
  __attribute__((target("amx-tile"))) AmxTiles() {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t num_rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } const config;
    static_assert(sizeof config == 64);
    asm volatile("" : : "r"(&config) : "memory");  // see expose_memory
    _tile_loadconfig(&config);
  }
  __attribute__((target("amx-tile"))) ~AmxTiles() { _tile_release(); }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;
};

// --- From sums to outputs ---

struct Scaling {
  float row_scale;
  int32_t correction;   // what the weights' offsets added to a sum
  const float* scales;  // of the outputs, as the rest
  const float* bias;    // or none
  bool is_added;
};

PRM_SCORE_VECTORISED void scale_sums(const int32_t* sums, int64_t num_outputs, const Scaling& scaling, float* out) {
  const float row_scale = scaling.row_scale;
  const int32_t correction = scaling.correction;
  const float* scales = scaling.scales;
  const float* bias = scaling.bias;
  float numbers[kOutputGroup];
  for (int64_t n = 0; n < num_outputs; ++n) {
    numbers[n] = static_cast<float>(sums[n] - correction) * (row_scale * scales[n]);
  }
  if (bias != nullptr) {
    for (int64_t n = 0; n < num_outputs; ++n) numbers[n] += bias[n];
  }
  if (scaling.is_added) {
    for (int64_t n = 0; n < num_outputs; ++n) out[n] += numbers[n];
  } else if (num_outputs == kOutputGroup) {
    std::memcpy(out, numbers, sizeof numbers);  // a few instructions, not a call
  } else {
    std::memcpy(out, numbers, num_outputs * sizeof(float));
  }
}

void run_tiles(const Int8Rows& rows, const Int8Weight& weight, const Int8Output& out, TileFunction tile,
               int32_t offset = kOffset) {
  const int64_t num_blocks = rounded_up(weight.num_inputs, kInputGroup) / kInputGroup;
  alignas(kAlignment) Sums sums;
  for (int64_t first = 0; first < weight.num_outputs; first += kOutputGroup) {
    const int64_t num_outputs = std::min(kOutputGroup, weight.num_outputs - first);
    const uint8_t* blocks = weight.packed.data() + first / kOutputGroup * num_blocks * kBlockBytes;
    for (int64_t group = 0; group < rows.num_rows(); group += kInt8GroupRows) {
      tile({.rows = rows.values(group), .row_stride = rows.stride(), .weight = blocks, .num_blocks = num_blocks}, sums);
      for (int64_t r = 0; r < kInt8GroupRows; ++r) {
        const int64_t row = group + r;
        scale_sums(sums[r], num_outputs,
                   {.row_scale = rows.scale(row),
                    .correction = offset * rows.sum(row),
                    .scales = weight.scales.data() + first,
                    .bias = out.bias == nullptr ? nullptr : out.bias + first,
                    .is_added = out.is_added},
                   out.rows + row * weight.num_outputs + first);
      }
    }
  }
}

// --- What this processor has ---

// The system lets a process use AMX's tiles if it asks.
bool may_use_amx() {
  constexpr unsigned kAmxTile = 1U << 24, kAmxInt8 = 1U << 25;
  constexpr int kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  return (edx & kAmxTile) != 0 && (edx & kAmxInt8) != 0 && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

std::vector<Int8Instructions> find_instructions() {
  std::vector<Int8Instructions> found = {Int8Instructions::kPortable};
  if (__builtin_cpu_supports("avx2") != 0) found.push_back(Int8Instructions::kAvx2);
  if (__builtin_cpu_supports("avx512vnni") != 0 && __builtin_cpu_supports("avx512bw") != 0) {
    found.push_back(Int8Instructions::kAvx512Vnni);
    if (may_use_amx()) found.push_back(Int8Instructions::kAmx);
  }
  return found;
}

}  // namespace

const std::vector<Int8Instructions>& int8_instructions() {
  static const std::vector<Int8Instructions> found = find_instructions();
  return found;
}

std::string_view int8_instructions_name(Int8Instructions instructions) {
  switch (instructions) {
    case Int8Instructions::kPortable:
      return "portable";
    case Int8Instructions::kAvx2:
      return "AVX2";
    case Int8Instructions::kAvx512Vnni:
      return "AVX-512 VNNI";
    case Int8Instructions::kAmx:
      return "AMX";
  }
  return "";
}

int64_t int8_packed_bytes(int64_t num_outputs, int64_t num_inputs) {
  return rounded_up(num_outputs, kOutputGroup) * rounded_up(num_inputs, kInputGroup);
}

void pack_int8_outputs(std::span<const float> rows, int64_t num_inputs, int64_t first, std::span<uint8_t> packed,
                       std::span<float> scales) {
  const int64_t padded_inputs = rounded_up(num_inputs, kInputGroup);
  uint8_t* blocks = packed.data() + first * padded_inputs;
  std::memset(blocks, kOffset, kOutputGroup * padded_inputs);
  std::vector<int8_t> values(padded_inputs);
  std::vector<float> rotated(padded_inputs);
  for (int64_t n = 0; n < std::ssize(rows) / num_inputs; ++n) {
    scales[first + n] =
        quantize_row(rows.data() + n * num_inputs, num_inputs, rotated, values.data()).scale / kRotationSquared;
    uint8_t* out = blocks + n / kTileOutputs * kTileBytes + n % kTileOutputs * 4;
    for (int64_t k = 0; k < padded_inputs; k += 4) {
      // All four bytes at once: w + 128 is w with its first bit turned.
      const uint32_t four = static_cast<uint32_t>(four_inputs(values.data() + k)) ^ 0x80808080U;
      std::memcpy(out + k / kInputGroup * kBlockBytes + k % kInputGroup / 4 * 64, &four, sizeof four);
    }
  }
}

int64_t int8_padded_inputs(int64_t num_inputs) { return rounded_up(num_inputs, kInputGroup); }

void unpack_int8(const Int8Weight& weight, std::span<float> values) {
  const int64_t padded_inputs = rounded_up(weight.num_inputs, kInputGroup);
  for (int64_t n = 0; n < weight.num_outputs; ++n) {
    const int64_t in_block = n % kOutputGroup;
    const uint8_t* in = weight.packed.data() + (n - in_block) * padded_inputs + in_block / kTileOutputs * kTileBytes +
                        in_block % kTileOutputs * 4;
    float* out = values.data() + n * padded_inputs;
    for (int64_t k = 0; k < padded_inputs; ++k) {
      const int64_t place = k / kInputGroup * kBlockBytes + k % kInputGroup / 4 * 64 + k % 4;
      out[k] = static_cast<float>(in[place] - kOffset);
    }
  }
}

void Int8Rows::resize(int64_t num_rows, int64_t num_inputs) {
  if (num_rows == num_rows_ && num_inputs == num_inputs_) return;
  num_rows_ = num_rows;
  num_inputs_ = num_inputs;
  // Rows a multiple of 4096 bytes apart would share few places of the cache.
  const int64_t padded_inputs = rounded_up(num_inputs, kInputGroup);
  stride_ = padded_inputs + kInputGroup;
  rotated_.resize(padded_inputs);
  const int64_t num_bytes = num_rows * stride_ + static_cast<int64_t>(kAlignment);
  if (std::ssize(memory_) < num_bytes) memory_.resize(num_bytes);
  const auto address = reinterpret_cast<uintptr_t>(memory_.data());
  values_ = memory_.data() + (kAlignment - address % kAlignment) % kAlignment;
  sums_.resize(num_rows);
  scales_.resize(num_rows);
}

void Int8Rows::set(int64_t index, const float* row) {
  const auto [scale, sum] = quantize_row(row, num_inputs_, rotated_, values_ + index * stride_);
  scales_[index] = scale;
  sums_[index] = sum;
}

void int8_product(const Int8Rows& rows, const Int8Weight& weight, const Int8Output& out,
                  Int8Instructions instructions) {
  switch (instructions) {
    case Int8Instructions::kPortable:
      return run_tiles(rows, weight, out, portable_tile);
    case Int8Instructions::kAvx2:
      return run_tiles(rows, weight, out, avx2_tile, /*offset=*/0);
    case Int8Instructions::kAvx512Vnni:
      return run_tiles(rows, weight, out, avx512_vnni_tile);
    case Int8Instructions::kAmx: {
      const AmxTiles tiles;
      return run_tiles(rows, weight, out, amx_tile);
    }
  }
}

}  // namespace prm_score
