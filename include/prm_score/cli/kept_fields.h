// kept_fields.h - what to tell the user of a run over a whole input whose --keep names a field that is nowhere: most
// often a slip of the pen, which the rows alone would show only when somebody misses the field in them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "prm_score/text/document.h"

namespace prm_score {

// Not thread-safe.
class KeptFields {
 public:
  // `names`: of --keep.
  explicit KeptFields(std::vector<std::string> names) : unseen_(std::move(names)) {}

  // A line; one that is no object does not count.
  void add(const RowOrigin& line);

  // Names what no line had; empty if each was somewhere, or there was no line.
  [[nodiscard]] std::string warning() const;

 private:
  std::vector<std::string> unseen_;
  bool has_lines_ = false;
};

}  // namespace prm_score
