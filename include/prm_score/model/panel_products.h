// panel_products.h - float32 products with a narrow matrix, on the CPU. Free of torch.
//
// A panel is a row-major matrix [num_rows][width] of at most kPanelWidth columns, a multiple of kPanelLanes. Each of
// its columns stands for something else (a query), and what becomes of one does not depend on the others, on the width
// or on where in memory anything lies: every sum is taken in the order of its terms. With AVX2 and AVX-512 each product
// and sum is rounded once, so that they give the same bits.
#pragma once

#include <cstdint>
#include <vector>

namespace prm_score {

inline constexpr int64_t kPanelLanes = 16;
inline constexpr int64_t kPanelWidth = 4 * kPanelLanes;

struct Panel {
  const float* data = nullptr;  // [num_rows][width]
  int64_t width = 0;
};

// Element (i, k) at data[i * row_stride + k * column_stride].
struct StridedMatrix {
  const float* data = nullptr;
  int64_t row_stride = 0, column_stride = 0;
  int64_t num_rows = 0, num_columns = 0;
};

enum class PanelInstructions {
  kPortable,
  kAvx2,
  kAvx512,
};

// Those that this processor has, from the slowest to the fastest; kPortable is always there.
[[nodiscard]] const std::vector<PanelInstructions>& panel_instructions();

// out[i][column] = sum over k of left(i, k) * panel[k][column]; with `add` added to what is there. `panel` has as many
// rows as `left` has columns; `out` is [left.num_rows][panel.width] and overlaps neither. Thread-safe.
void multiply_panel(const StridedMatrix& left, const Panel& panel, bool add, float* out,
                    PanelInstructions instructions = panel_instructions().back());

}  // namespace prm_score
