// row_kernels.h - what a layer does to a row besides matrix products, on the CPU.
//
// A row's result depends on that row alone, bit by bit: not on the rows beside it, on the thread, or on the vector
// instructions that the processor has (sums run over kLanes partial sums in a fixed order, nothing is contracted to
// fused multiply-adds). Everything is computed in float32. Thread-safe; memory must not overlap unless it is the same.
#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

namespace prm_score {

inline constexpr int64_t kLanes = 16;  // partial sums of a reduction: lane i has the elements i, i + 16, i + 32, ..

// out = row * rsqrt(mean(row^2) + eps) * weight; `size` elements each.
void rms_norm_row(const float* row, const float* weight, int64_t size, float eps, float* out);
void rms_norm_row(const float* row, const float* weight, int64_t size, float eps, c10::BFloat16* out);
void rms_norm_row(const c10::BFloat16* row, const float* weight, int64_t size, float eps, c10::BFloat16* out);

// Rotates component i of the head together with component i + half by the angles whose cosines and sines are given
// [half each]. In place.
void rotate_head(float* head, const float* cos, const float* sin, int64_t half);
void rotate_head(c10::BFloat16* head, const float* cos, const float* sin, int64_t half);

// out = silu(gate) * up; `size` elements each. `out` may be `gate`.
void silu_multiply_row(const float* gate, const float* up, int64_t size, float* out);
void silu_multiply_row(const c10::BFloat16* gate, const c10::BFloat16* up, int64_t size, c10::BFloat16* out);

// sum += row
void add_row(const float* row, int64_t size, float* sum);
void add_row(const c10::BFloat16* row, int64_t size, float* sum);

// to = from * scale
void scale_row(const float* from, float scale, int64_t size, float* to);
void scale_row(const c10::BFloat16* from, float scale, int64_t size, float* to);
void scale_row(const float* from, float scale, int64_t size, c10::BFloat16* to);

// The largest element; `size` > 0. A nan may be passed over.
[[nodiscard]] float max_of_row(const float* row, int64_t size);

// row = exp(row - offset), in place; the sum of that. Off by 2 ulp at most; arguments below -87 count as -87.
float exp_row(float* row, int64_t size, float offset);

[[nodiscard]] float dot(const float* a, const float* b, int64_t size);

}  // namespace prm_score
