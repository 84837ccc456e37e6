// device_tensors.h - small things of those who compute on a device. Private to the model layer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "vectorised.h"
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

namespace prm_score {

template <typename T>
at::Tensor on_device(const std::vector<T>& numbers, at::Device device) {
  const at::Tensor tensor = at::empty(static_cast<int64_t>(numbers.size()), c10::CppTypeToScalarType<T>::value);
  std::copy(numbers.begin(), numbers.end(), tensor.mutable_data_ptr<T>());
  return tensor.to(device);
}

}  // namespace prm_score
