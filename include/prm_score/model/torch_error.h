// torch_error.h - where libtorch's exceptions become ours.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include <c10/util/Exception.h>

#include "prm_score/error.h"

namespace prm_score {

// First line of what libtorch says, without its stack trace.
[[nodiscard]] std::string first_line(const std::string& message);

[[nodiscard]] bool is_out_of_memory(const c10::Error& error);

// Returns body(). Anything libtorch throws (broken invariants, CUDA failures) becomes Error `{place}: ..`, a GPU's or
// the CPU's memory running out OutOfMemory; an Error passes unchanged.
template <typename Body>
auto with_torch_errors(const std::string& place, Body&& body) -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(place + ": out of memory");
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error)) throw OutOfMemory(place + ": " + first_line(error.what_without_backtrace()));
    throw Error(place + ": " + first_line(error.what_without_backtrace()));
  } catch (const std::exception& error) {
    throw Error(place + ": " + first_line(error.what()));
  }
}

}  // namespace prm_score
