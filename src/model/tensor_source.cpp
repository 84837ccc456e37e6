#include "prm_score/model/tensor_source.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/randn.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

// Prime, so that rows of no matrix repeat each other.
constexpr int64_t kPoolSize = 16777213;

at::ScalarType scalar_type(const StoredTensor& stored) {
  if (stored.dtype == "F16") return at::kHalf;
  if (stored.dtype == "BF16") return at::kBFloat16;
  TORCH_CHECK(stored.dtype == "F32", "to_tensor: dtype ", stored.dtype);
  return at::kFloat;
}

// FNV-1a.
uint64_t hash_of(const std::string& name) {
  uint64_t hash = 14695981039346656037ULL;
  for (const unsigned char byte : name) hash = (hash ^ byte) * 1099511628211ULL;
  return hash;
}

}  // namespace

at::Tensor to_tensor(const StoredTensor& stored) {
  const at::ScalarType dtype = scalar_type(stored);
  const auto element_size = static_cast<uintptr_t>(c10::elementSize(dtype));
  auto* data = const_cast<std::byte*>(stored.bytes.data());
  if (reinterpret_cast<uintptr_t>(data) % element_size == 0) return at::from_blob(data, stored.shape, dtype);
  at::Tensor copy = at::empty(stored.shape, dtype);
  std::memcpy(copy.mutable_data_ptr(), data, stored.bytes.size());
  return copy;
}

at::Tensor SafetensorsSource::tensor(const std::string& name, const std::vector<int64_t>& shape) const {
  return to_tensor(files_.weight(name, shape));
}

at::Tensor SafetensorsSource::packed(const std::string& name, int64_t num_bytes) const {
  constexpr uintptr_t kAlignment = 64;
  const StoredTensor& stored = files_.packed(name, num_bytes);
  auto* data = const_cast<std::byte*>(stored.bytes.data());
  if (reinterpret_cast<uintptr_t>(data) % kAlignment == 0) return at::from_blob(data, {num_bytes}, at::kByte);
  at::Tensor copy = at::empty({num_bytes}, at::kByte);  // libtorch aligns it
  std::memcpy(copy.mutable_data_ptr(), data, stored.bytes.size());
  return copy;
}

int64_t SafetensorsSource::num_bytes() const {
  int64_t num_bytes = 0;
  for (const auto& [name, tensor] : files_.tensors()) num_bytes += std::ssize(tensor.bytes);
  return num_bytes;
}

RandomSource::RandomSource(uint64_t seed, bool has_head, int64_t expected_bytes)
    : has_head_(has_head), expected_bytes_(expected_bytes) {
  pool_ = at::randn({kPoolSize}, at::detail::createCPUGenerator(seed), at::TensorOptions(at::kFloat));
}

bool RandomSource::contains(const std::string& name) const { return has_head_ || name != "lm_head.weight"; }

at::Tensor RandomSource::packed(const std::string& name, int64_t /*num_bytes*/) const {
  throw Error("--random-weights: expected a config.json without quantization_config, found one");
}

at::Tensor RandomSource::tensor(const std::string& name, const std::vector<int64_t>& shape) const {
  at::Tensor& tensor = tensors_[name];
  if (tensor.defined()) return tensor;
  const bool is_matrix = shape.size() > 1;
  const bool is_norm = !is_matrix && name.find("norm") != std::string::npos;
  const double scale = is_matrix ? 1.0 / std::sqrt(static_cast<double>(shape.back())) : 0.02;
  const at::Tensor numbers = pool_ * scale + (is_norm ? 1.0 : 0.0);
  tensor = at::empty(shape, at::kBFloat16);
  const at::Tensor flat = tensor.view(-1);
  auto begin = static_cast<int64_t>(hash_of(name) % kPoolSize);  // the pool, from there on and around
  for (int64_t done = 0; done < flat.size(0); begin = 0) {
    const int64_t length = std::min(kPoolSize - begin, flat.size(0) - done);
    flat.narrow(0, done, length).copy_(numbers.narrow(0, begin, length));
    done += length;
  }
  return tensor;
}

}  // namespace prm_score
