// int8_products.h - products of rows and weights that are rounded to 8-bit integers, on the CPU.
//
// Inputs and weights are rotated first: every 64 numbers of a row x by the Hadamard matrix H, as in QuaRot
// (https://arxiv.org/abs/2404.00456), x' = H x with H H = 64, which changes no product, as (H x)(H w) = 64 x w, and
// spreads what is large in one input over all 64. A row x' is kept as integers q and one scale s, x' ~ s q with q in
// [-127, 127] and s = max|x'| / 127; a weight as one scale per output. Sums of products of integers are exact in 32
// bits: whatever instructions compute them, in whatever order, a row's result is the same to the last bit and depends
// on that row and the weight alone. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace prm_score {

// What computes the products. All give the same bits.
enum class Int8Instructions {
  kPortable,
  kAvx2,
  kAvx512Vnni,
  kAmx,
};

// Those that this processor (and system) has, from the slowest to the fastest; kPortable is always there.
[[nodiscard]] const std::vector<Int8Instructions>& int8_instructions();

// "portable", "AVX2", "AVX-512 VNNI" or "AMX".
[[nodiscard]] std::string_view int8_instructions_name(Int8Instructions instructions);

inline constexpr int64_t kInt8GroupRows = 32;     // a product takes whole groups of rows
inline constexpr int64_t kInt8MaxInputs = 65536;  // so that no sum can leave 32 bits

// The weight of a linear layer: an integer per input and output, in the order in which the kernels read them.
//
// Outputs are padded to a multiple of 32 and inputs, before they are rotated, to a multiple of 64, with zeros. [outputs
// / 32][inputs / 64] blocks of 2 tiles of 1024 bytes, for 16 outputs each; in a tile lie, for 4 inputs at a time, the
// 16 outputs' 4 integers. An integer w lies there as the byte w + 128; no w is -128, with which the kernels would
// differ.
struct Int8Weight {
  std::span<const uint8_t> packed;  // [int8_packed_bytes], aligned to 64 bytes
  std::span<const float> scales;    // [num_outputs], of the rotated weight, divided by 64
  int64_t num_outputs = 0;
  int64_t num_inputs = 0;  // kInt8MaxInputs at most
};

[[nodiscard]] int64_t int8_packed_bytes(int64_t num_outputs, int64_t num_inputs);

inline constexpr int64_t kInt8PackedOutputs = 32;  // that are packed together

// Quantises outputs [first, first + kInt8PackedOutputs), fewer at the end, from their rows [.., num_inputs] into their
// part of `packed` and `scales`, which belong to the whole weight. `first` is a multiple of kInt8PackedOutputs. The
// scale of a row with a number that is not finite is not finite either, and its integers are 0.
void pack_int8_outputs(std::span<const float> rows, int64_t num_inputs, int64_t first, std::span<uint8_t> packed,
                       std::span<float> scales);

// Of a row or of an output: rounded up to a multiple of 64.
[[nodiscard]] int64_t int8_padded_inputs(int64_t num_inputs);

// The integers of a weight, as numbers [num_outputs, int8_padded_inputs].
void unpack_int8(const Int8Weight& weight, std::span<float> values);

// Rows that are quantised one by one.
class Int8Rows {
 public:
  // Grows to `num_rows`, a multiple of kInt8GroupRows, of `num_inputs` each. What was in it is lost.
  void resize(int64_t num_rows, int64_t num_inputs);

  // Quantises a row of float32 into place `index`. A row with a number that is not finite makes all its products nan.
  void set(int64_t index, const float* row);

  [[nodiscard]] int64_t num_rows() const { return num_rows_; }
  [[nodiscard]] int64_t num_inputs() const { return num_inputs_; }
  [[nodiscard]] int64_t stride() const { return stride_; }  // of the integers, bytes
  [[nodiscard]] const int8_t* values(int64_t index) const { return values_ + index * stride_; }
  [[nodiscard]] int32_t sum(int64_t index) const { return sums_[index]; }  // of the row's integers
  [[nodiscard]] float scale(int64_t index) const { return scales_[index]; }

 private:
  int64_t num_rows_ = 0, num_inputs_ = 0, stride_ = 0;
  std::vector<float> rotated_;  // the row that is being set
  std::vector<int8_t> memory_;
  int8_t* values_ = nullptr;  // in `memory_`, aligned
  std::vector<int32_t> sums_;
  std::vector<float> scales_;
};

// What becomes of a product.
struct Int8Output {
  float* rows = nullptr;        // [num_rows, num_outputs]
  const float* bias = nullptr;  // [num_outputs], or none
  bool is_added = false;        // to what the rows hold
};

// out = rows W^T + bias, in float32: (s_row * s_output) * sum, then + bias, each rounded.
void int8_product(const Int8Rows& rows, const Int8Weight& weight, const Int8Output& out,
                  Int8Instructions instructions = int8_instructions().back());

}  // namespace prm_score
