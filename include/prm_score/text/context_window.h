// context_window.h - where the context of a chunk begins when `max_context` does not allow all of it.
//
// A context consists of units: the context field's ids in chunk-size pieces (the last may be short), then the
// document's ids in chunk-size pieces.
//
//   field ids                  document ids
//   | unit 0 | unit 1 | 2 |    | unit 3 | unit 4 | unit 5 | ..
//             ^ begin                             ^ the chunk to be judged begins here, at or inside a unit
//
// When a context has grown too long its begin moves on by half a context at once, and never back. So all chunks between
// two moves share one trunk; moving on for each chunk could share nothing.
#pragma once

#include <cstdint>

namespace prm_score {

class ContextWindow {
 public:
  // num_field_tokens >= 0, chunk_size >= 1, max_context >= 0.
  ContextWindow(int64_t num_field_tokens, int64_t chunk_size, int64_t max_context);

  // First id of the field, and of the document, that belongs to the context. The field counts up to its end, the
  // document up to the begin of the chunk (where that lies before ids_begin(), none of it).
  [[nodiscard]] int64_t field_begin() const;
  [[nodiscard]] int64_t ids_begin() const;

  // How many of the document's ids are in the context of a chunk that begins at document token `chunk_begin`, and how
  // many tokens that context has in all.
  [[nodiscard]] int64_t num_ids(int64_t chunk_begin) const;
  [[nodiscard]] int64_t num_tokens(int64_t chunk_begin) const;

  [[nodiscard]] bool fits(int64_t chunk_begin) const { return num_tokens(chunk_begin) <= max_context_; }

  // Whether it has ever moved on.
  [[nodiscard]] bool is_cut() const { return begin_unit_ > 0; }

  // Moves the begin on by max(1, floor(max_context / 2 / chunk_size)) units.
  void move_on();

 private:
  int64_t num_field_tokens_;
  int64_t chunk_size_;
  int64_t max_context_;
  int64_t num_field_units_;
  int64_t begin_unit_ = 0;
};

}  // namespace prm_score
