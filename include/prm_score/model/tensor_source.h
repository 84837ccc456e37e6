// tensor_source.h - where the tensors of a model come from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prm_score/model/safetensors.h"

namespace prm_score {

// Immutable. Thread-safe, but for RandomSource.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  [[nodiscard]] virtual bool contains(const std::string& name) const = 0;

  // On the CPU, of dtype F32, F16 or BF16; not to be written to, and not to outlive the source. Throws Error if it is
  // missing, or of another shape or dtype.
  [[nodiscard]] virtual at::Tensor tensor(const std::string& name, const std::vector<int64_t>& shape) const = 0;

  // The same for bytes, uint8 [num_bytes], at a multiple of 64 bytes in memory.
  [[nodiscard]] virtual at::Tensor packed(const std::string& name, int64_t num_bytes) const = 0;

  // Of all tensors.
  [[nodiscard]] virtual int64_t num_bytes() const = 0;

  // Of those, what the system cannot take back while the source lives: nothing of a mapped file.
  [[nodiscard]] virtual int64_t num_held_bytes() const = 0;

  // Throws Error if the tensors may have changed since the source was made.
  virtual void expect_unchanged() const {}
};

// The tensors of a checkpoint folder: views of the mapped files, or a copy where one does not lie at a multiple of its
// element size.
class SafetensorsSource final : public TensorSource {
 public:
  // Throws as SafetensorsReader.
  explicit SafetensorsSource(const std::filesystem::path& folder) : files_(folder) {}

  [[nodiscard]] bool contains(const std::string& name) const override { return files_.contains(name); }
  [[nodiscard]] at::Tensor tensor(const std::string& name, const std::vector<int64_t>& shape) const override;
  [[nodiscard]] at::Tensor packed(const std::string& name, int64_t num_bytes) const override;
  [[nodiscard]] int64_t num_bytes() const override;
  [[nodiscard]] int64_t num_held_bytes() const override { return 0; }
  void expect_unchanged() const override { files_.expect_unchanged(); }

 private:
  SafetensorsReader files_;
};

// Tensors of any name, drawn from a seed: as large and as slow as real ones, but nothing that a model learned. For
// benchmarks. bfloat16; vectors are about 1 (norms) or 0 (biases), matrices keep the size of what goes through them. A
// tensor's numbers depend on its name, its shape and the seed alone. Made when it is first asked for, and kept: not
// thread-safe.
class RandomSource final : public TensorSource {
 public:
  // `has_head`: whether there is an lm_head.weight. `expected_bytes`: what num_bytes() says.
  RandomSource(uint64_t seed, bool has_head, int64_t expected_bytes);

  [[nodiscard]] bool contains(const std::string& name) const override;
  [[nodiscard]] at::Tensor tensor(const std::string& name, const std::vector<int64_t>& shape) const override;
  [[nodiscard]] at::Tensor packed(const std::string& name, int64_t num_bytes) const override;  // throws Error
  [[nodiscard]] int64_t num_bytes() const override { return expected_bytes_; }
  [[nodiscard]] int64_t num_held_bytes() const override { return expected_bytes_; }

 private:
  bool has_head_;
  int64_t expected_bytes_;
  at::Tensor pool_;  // standard normal numbers, float32
  mutable std::map<std::string, at::Tensor> tensors_;
};

// The tensor in its own dtype on the CPU: a view of the mapped file, or a copy if it does not lie at a multiple of its
// element size. Must not outlive the reader. Not to be written to.
[[nodiscard]] at::Tensor to_tensor(const StoredTensor& stored);

}  // namespace prm_score
