// segment_attention.h - softmax attention of a few query rows to keys that lie in two places, on the CPU: those of a
// shared trunk, which all of them see, and those of their own segment, which they see causally.
//
// The keys are taken block by block with a running maximum and sum (online softmax, Milakov & Gimelshein 2018,
// arXiv:1805.02867), and the queries panel by panel, so that what is computed with stays in the processor's caches.
#pragma once

#include <cstdint>
#include <vector>

namespace prm_score {

// One key-value head's keys and values: row i at keys + i * row_stride, head_dim elements.
template <typename T>
struct KeyValueRows {
  const T* keys = nullptr;
  const T* values = nullptr;
  int64_t row_stride = 0;
  int64_t num_rows = 0;
};

// The query heads that share the key-value head, and where their results go: head j of query i at
// queries + i * query_stride + j * head_dim, likewise for `out`.
template <typename T>
struct QueryRows {
  const T* queries = nullptr;
  int64_t query_stride = 0;
  T* out = nullptr;
  int64_t out_stride = 0;
  int64_t num_rows = 0;
  int64_t num_heads = 0;
};

// Memory for one call at a time; grows to what the largest needs and stays.
struct AttentionScratch {
  std::vector<float> queries, scores, sums, keys, values, max, sum, factors, row;
  std::vector<int32_t> num_visible;
};

// Query i sees all `shared` rows and the first own_visible + i of `own`. Scores are scaled by 1 / sqrt(head_dim).
// A query's result depends on it and on what it sees alone, bit by bit, if all are finite; not finite where a score or
// a value is not. T: float or c10::BFloat16; computed in float32.
template <typename T>
void attend(const QueryRows<T>& rows, const KeyValueRows<T>& shared, const KeyValueRows<T>& own, int64_t own_visible,
            int64_t head_dim, AttentionScratch& scratch);

}  // namespace prm_score
