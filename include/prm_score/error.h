// error.h - what the library throws.
#pragma once

#include <stdexcept>
#include <string>

namespace prm_score {

// What stops a run: a checkpoint, tokenizer, option or file that cannot be used. The message names the place (file,
// field), the expected and the found: `model.safetensors: lm_head.weight: expected [152064, 3584], got [32000, 3584]`.
// A bad input line is not an Error; it becomes a row with `error` (see io/jsonl_reader.h).
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Memory ran out, the CPU's or a GPU's: less at a time may go.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

}  // namespace prm_score
