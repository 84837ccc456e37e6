#include "prm_score/cli/kept_fields.h"

#include "prm_score/io/json_line.h"

namespace prm_score {

void KeptFields::add(const RowOrigin& line) {
  if (unseen_.empty() || line.input_json.empty()) return;
  has_lines_ = true;
  for (const JsonMember& field : parse_json_line(line.input_json, {.keys = unseen_}).fields) {
    std::erase(unseen_, field.key);
  }
}

std::string KeptFields::warning() const {
  if (!has_lines_ || unseen_.empty()) return "";
  std::string names;
  for (const std::string& name : unseen_) names += (names.empty() ? "" : ", ") + to_json_string(name);
  return "--keep: no line had " + (unseen_.size() == 1 ? "the field " : std::string("any of the fields ")) + names;
}

}  // namespace prm_score
