// Row operations in bfloat16, each in one pass over memory. Compiled by NVRTC when a model is loaded: no headers.
// Sizes are multiples of eight, rows begin at multiples of 16 bytes: every thread takes groups of eight numbers.

typedef unsigned short bfloat16;  // its bits

namespace {

constexpr int kGroup = 8;
constexpr unsigned kWarp = 32;

struct Floats {
  float at[kGroup];
};

__device__ Floats load(const float* place) {
  const float4 low = reinterpret_cast<const float4*>(place)[0], high = reinterpret_cast<const float4*>(place)[1];
  return {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
}

__device__ void store(const Floats& values, float* place) {
  const float* v = values.at;
  reinterpret_cast<float4*>(place)[0] = make_float4(v[0], v[1], v[2], v[3]);
  reinterpret_cast<float4*>(place)[1] = make_float4(v[4], v[5], v[6], v[7]);
}

// A bfloat16 is the upper half of a float.
__device__ float lower(unsigned pair) { return __uint_as_float(pair << 16); }
__device__ float upper(unsigned pair) { return __uint_as_float(pair & 0xffff0000u); }

// To the nearest, ties to even.
__device__ unsigned pair_of(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

__device__ Floats load(const bfloat16* place) {
  const uint4 pairs = *reinterpret_cast<const uint4*>(place);
  return {lower(pairs.x), upper(pairs.x), lower(pairs.y), upper(pairs.y),
          lower(pairs.z), upper(pairs.z), lower(pairs.w), upper(pairs.w)};
}

__device__ void store(const Floats& values, bfloat16* place) {
  const float* v = values.at;
  *reinterpret_cast<uint4*>(place) =
      make_uint4(pair_of(v[0], v[1]), pair_of(v[2], v[3]), pair_of(v[4], v[5]), pair_of(v[6], v[7]));
}

// Of all threads of the block, whose number is a multiple of kWarp; always added up in the same order.
__device__ float block_sum(float value) {
  __shared__ float of_warps[kWarp];
  for (unsigned distance = kWarp / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = value;
  __syncthreads();
  float sum = 0;
  for (unsigned warp = 0; warp < blockDim.x / kWarp; ++warp) sum += of_warps[warp];
  return sum;
}

}  // namespace

// A block for each row. addend may be null.
extern "C" __global__ void __launch_bounds__(1024)
    add_rms_norm(float* hidden, const bfloat16* addend, const float* weight, bfloat16* normalised, int size,
                 float eps) {
  const size_t begin = static_cast<size_t>(blockIdx.x) * size;
  const int step = kGroup * blockDim.x;
  Floats values;
  float squares = 0;
  for (int i = kGroup * threadIdx.x; i < size; i += step) {
    values = load(hidden + begin + i);
    if (addend != nullptr) {
      const Floats more = load(addend + begin + i);
      for (int k = 0; k < kGroup; ++k) values.at[k] += more.at[k];
      store(values, hidden + begin + i);
    }
    for (int k = 0; k < kGroup; ++k) squares += values.at[k] * values.at[k];
  }
  const float scale = 1.0f / sqrtf(block_sum(squares) / size + eps);
  for (int i = kGroup * threadIdx.x; i < size; i += step) {
    if (step < size) values = load(hidden + begin + i);  // else they are still at hand
    const Floats weights = load(weight + i);
    for (int k = 0; k < kGroup; ++k) values.at[k] *= scale * weights.at[k];
    store(values, normalised + begin + i);
  }
}

// A thread for each group of each head of row blockIdx.x. Row r of heads begins at r * row_stride.
extern "C" __global__ void apply_rotary(bfloat16* heads, const float* cos, const float* sin, long long row_stride,
                                        int num_heads, int half) {
  const int groups = half / kGroup, thread = blockIdx.y * blockDim.x + threadIdx.x;
  if (thread >= num_heads * groups) return;
  const int head = thread / groups, i = kGroup * (thread % groups);
  bfloat16* const first_place = heads + blockIdx.x * row_stride + 2 * static_cast<size_t>(half) * head + i;
  const size_t angle = static_cast<size_t>(blockIdx.x) * half + i;
  const Floats first = load(first_place), second = load(first_place + half);
  const Floats c = load(cos + angle), s = load(sin + angle);
  Floats turned_first, turned_second;
  for (int k = 0; k < kGroup; ++k) {
    turned_first.at[k] = first.at[k] * c.at[k] - second.at[k] * s.at[k];
    turned_second.at[k] = second.at[k] * c.at[k] + first.at[k] * s.at[k];
  }
  store(turned_first, first_place);
  store(turned_second, first_place + half);
}

// A thread for each group of row blockIdx.x.
extern "C" __global__ void silu_and_mul(bfloat16* gate_up, int size) {
  const int i = kGroup * (blockIdx.y * blockDim.x + threadIdx.x);
  if (i >= size) return;
  bfloat16* const place = gate_up + 2 * static_cast<size_t>(size) * blockIdx.x + i;
  Floats values = load(place);
  const Floats up = load(place + size);
  for (int k = 0; k < kGroup; ++k) values.at[k] = values.at[k] / (1.0f + expf(-values.at[k])) * up.at[k];
  store(values, place);
}

// A thread for each group of each head of query blockIdx.x. Own and shared rows, and out: [num_queries, num_heads,
// head_dim]; the logarithms [num_heads, num_queries].
extern "C" __global__ void merge_attention_states(const bfloat16* own, const float* own_log, const bfloat16* shared,
                                                  const float* shared_log, const bool* has_none, bfloat16* out,
                                                  int num_queries, int num_heads, int head_dim) {
  const int groups = head_dim / kGroup, thread = blockIdx.y * blockDim.x + threadIdx.x, query = blockIdx.x;
  if (thread >= num_heads * groups) return;
  const int head = thread / groups;
  const size_t place = (static_cast<size_t>(query) * num_heads + head) * head_dim + kGroup * (thread % groups);
  Floats values = load(own + place);
  if (!has_none[query]) {
    const size_t log_place = static_cast<size_t>(head) * num_queries + query;
    const float difference = own_log[log_place] - shared_log[log_place];
    const float own_share = 1.0f / (1.0f + expf(-difference)), other_share = 1.0f / (1.0f + expf(difference));
    const Floats others = load(shared + place);
    for (int k = 0; k < kGroup; ++k) values.at[k] = values.at[k] * own_share + others.at[k] * other_share;
  }
  store(values, out + place);
}
