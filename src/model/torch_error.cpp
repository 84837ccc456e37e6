#include "prm_score/model/torch_error.h"

namespace prm_score {

std::string first_line(const std::string& message) { return message.substr(0, message.find('\n')); }

bool is_out_of_memory(const c10::Error& error) {
  // The CPU's allocator has no exception of its own.
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         std::string(error.what_without_backtrace()).find("can't allocate memory") != std::string::npos;
}

}  // namespace prm_score
