// blas.h - float32 matrix products on raw memory. Private to the model layer.
//
// libtorch exports the standard BLAS name of the library that it is built with (MKL on x86-64).
#pragma once

#include <cstdint>

namespace prm_score {

// Row-major: element (i, j) at data[i * stride + j].
struct Matrix {
  const float* data = nullptr;
  int64_t num_rows = 0, num_columns = 0, stride = 0;
};

// Keeps BLAS on the calling thread while it lives. A product gives other bits when it is shared between threads, or
// could be.
class OneBlasThread {
 public:
  OneBlasThread();
  ~OneBlasThread();
  OneBlasThread(const OneBlasThread&) = delete;
  OneBlasThread& operator=(const OneBlasThread&) = delete;

 private:
  int previous_;
};

// out = left right, or left right^T; added to what is there with `add`. Sizes must agree and fit into int.
void multiply(const Matrix& left, const Matrix& right, bool transpose_right, bool add, float* out, int64_t out_stride);

}  // namespace prm_score
