#include "prm_score/model/torch_error.h"

namespace prm_score {

std::string first_line(const std::string& message) { return message.substr(0, message.find('\n')); }

}  // namespace prm_score
