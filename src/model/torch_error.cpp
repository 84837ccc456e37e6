#include "prm_score/model/torch_error.h"

#include <algorithm>
#include <array>

namespace prm_score {

std::string first_line(const std::string& message) { return message.substr(0, message.find('\n')); }

bool is_out_of_memory(const c10::Error& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  // The CPU's allocator, the driver behind CUDA's, and cuBLAS have no exception of their own.
  const std::string message = error.what_without_backtrace();
  return std::ranges::any_of(
      std::array{"can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"},
      [&](const char* words) { return message.find(words) != std::string::npos; });
}

}  // namespace prm_score
