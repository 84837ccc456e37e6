#include "blas.h"

#include <cassert>

extern "C" void sgemm_(const char* trans_a, const char* trans_b, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

// MKL's; 0 = what is set for the process. Gives back the calling thread's number of before.
extern "C" int MKL_Set_Num_Threads_Local(int num_threads);

namespace prm_score {

OneBlasThread::OneBlasThread() : previous_(MKL_Set_Num_Threads_Local(1)) {}
OneBlasThread::~OneBlasThread() { MKL_Set_Num_Threads_Local(previous_); }

void multiply(const Matrix& left, const Matrix& right, bool transpose_right, bool add, float* out, int64_t out_stride) {
  assert(left.num_columns == (transpose_right ? right.num_columns : right.num_rows));
  // BLAS is column-major: it sees every matrix transposed, so out^T = right^T left^T.
  const int m = static_cast<int>(transpose_right ? right.num_rows : right.num_columns);
  const int n = static_cast<int>(left.num_rows), k = static_cast<int>(left.num_columns);
  const int right_stride = static_cast<int>(right.stride), left_stride = static_cast<int>(left.stride);
  const int stride = static_cast<int>(out_stride);
  const float alpha = 1.0F, beta = add ? 1.0F : 0.0F;
  sgemm_(transpose_right ? "T" : "N", "N", &m, &n, &k, &alpha, right.data, &right_stride, left.data, &left_stride,
         &beta, out, &stride);
}

}  // namespace prm_score
