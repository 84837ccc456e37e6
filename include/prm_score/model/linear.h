// linear.h - a linear layer of one block of rows, without new memory.
#pragma once

#include <ATen/core/Tensor.h>

#include "prm_score/model/weights.h"

namespace prm_score {

// out = rows W^T + b. rows [num_rows, num_inputs], out [num_rows, num_outputs], of the weight's dtype (float32 or
// bfloat16), on the CPU; each row of `rows`, `out` and the weight is contiguous. Thread-safe.
void apply_in_place(const Linear& linear, const at::Tensor& rows, at::Tensor& out);

}  // namespace prm_score
