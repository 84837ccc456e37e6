// bad_rows.h - what to tell the user of a run whose rows are all bad: most often one mistake made them so.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "prm_score/cli/options.h"

namespace prm_score {

// Counts the errors of bad rows by what helps against them. `options` has to outlive it. Not thread-safe.
class BadRows {
 public:
  explicit BadRows(const Options& options) : options_(options) {}

  // The error of a row of this run; empty of a good one, which is not counted.
  void add(std::string_view error);

  // Which option or command helps against most of them; empty if there is none. `begins_as_array`: whether the first
  // line that is not blank of a file begins with `[`.
  [[nodiscard]] std::string hint(bool begins_as_array) const;

 private:
  enum Kind { kNoText, kNoContext, kNoChunk, kLongLine, kNoObject, kOther, kNumKinds };

  [[nodiscard]] Kind kind_of(std::string_view error) const;

  const Options& options_;
  std::array<int64_t, kNumKinds> num_rows_ = {};
  std::string other_;  // the first error of kOther
};

}  // namespace prm_score
