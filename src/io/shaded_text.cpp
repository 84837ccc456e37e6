#include "prm_score/io/shaded_text.h"

#include <algorithm>

namespace prm_score {
namespace {

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

bool is_border(std::string_view text, int64_t offset) {
  return offset == static_cast<int64_t>(text.size()) || begins_character(text[static_cast<size_t>(offset)]);
}

int64_t count_characters(std::string_view text) { return std::ranges::count_if(text, begins_character); }

// Bytes of the first `max_chars` code points.
size_t bytes_of_first(std::string_view text, int64_t max_chars) {
  if (static_cast<int64_t>(text.size()) <= max_chars) return text.size();
  int64_t num_chars = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (begins_character(text[i]) && ++num_chars > max_chars) return i;
  }
  return text.size();
}

// Counts the characters before offsets that never go back.
class CharacterCounter {
 public:
  explicit CharacterCounter(std::string_view text) : text_(text) {}

  int64_t count_before(int64_t offset) {
    count_ += count_characters(text_.substr(offset_, static_cast<size_t>(offset) - offset_));
    offset_ = static_cast<size_t>(offset);
    return count_;
  }

 private:
  std::string_view text_;
  size_t offset_ = 0;
  int64_t count_ = 0;
};

// Empty if the spans are those of such a text.
std::string why_spans_do_not_fit(std::string_view text, const std::vector<ChunkSpan>& spans) {
  const auto num_bytes = static_cast<int64_t>(text.size());
  const int64_t num_covered = spans.back().byte_end;
  if (num_covered != num_bytes) {
    return "the text has " + std::to_string(num_bytes) + " bytes, but the row's chunks cover " +
           std::to_string(num_covered) + ": it is not the text that was scored";
  }
  const int64_t num_chars = count_characters(text);
  if (spans.back().char_end != num_chars) {
    return "the text has " + std::to_string(num_chars) + " characters, but the row's chunks cover " +
           std::to_string(spans.back().char_end) + ": it is not the text that was scored";
  }
  int64_t covered = 0;
  CharacterCounter begins(text), ends(text);
  for (const ChunkSpan& span : spans) {
    if (span.byte_begin > covered || !is_border(text, span.byte_begin) || !is_border(text, span.byte_end)) {
      return "the row's chunks begin or end inside characters, or leave some out: it is not the text that was scored";
    }
    covered = span.byte_end;
    if (begins.count_before(span.byte_begin) != span.char_begin || ends.count_before(covered) != span.char_end) {
      return "the characters up to byte " + std::to_string(covered) +
             " are not as many as the row's chunks cover: it is not the text that was scored";
    }
  }
  return "";
}

// Where chunks begin or end, sorted.
std::vector<int64_t> borders_of(const std::vector<ChunkSpan>& spans) {
  std::vector<int64_t> borders;
  for (const ChunkSpan& span : spans) {
    borders.push_back(span.byte_begin);
    borders.push_back(span.byte_end);
  }
  std::ranges::sort(borders);
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  return borders;
}

}  // namespace

ShadedText shade_text(std::string_view text, const std::vector<ChunkSpan>& spans, int64_t max_chars) {
  ShadedText shaded;
  if (spans.empty()) {
    shaded.why_not = "the row has no spans";
    return shaded;
  }
  shaded.why_not = why_spans_do_not_fit(text, spans);
  if (!shaded.why_not.empty()) return shaded;
  const auto end = static_cast<int64_t>(bytes_of_first(text, max_chars));
  shaded.num_left_out = count_characters(text.substr(static_cast<size_t>(end)));

  // Chunks begin in order and end in order, so those over a piece are neighbours.
  size_t first_chunk = 0, end_chunk = 0;
  int64_t begin = 0;
  for (const int64_t border : borders_of(spans)) {
    const int64_t piece_end = std::min(border, end);
    if (piece_end <= begin) continue;
    while (spans[first_chunk].byte_end <= begin) ++first_chunk;
    end_chunk = std::max(end_chunk, first_chunk);
    while (end_chunk < spans.size() && spans[end_chunk].byte_begin <= begin) ++end_chunk;
    const std::string_view piece = text.substr(static_cast<size_t>(begin), static_cast<size_t>(piece_end - begin));
    shaded.overlaps |= end_chunk - first_chunk > 1 && count_characters(piece) > 1;
    shaded.pieces.push_back({std::string(piece), static_cast<int64_t>(first_chunk), static_cast<int64_t>(end_chunk)});
    begin = piece_end;
  }
  return shaded;
}

std::string shorten(std::string_view text, int64_t max_chars) {
  const size_t num_bytes = bytes_of_first(text, max_chars);
  std::string kept(text.substr(0, num_bytes));
  return num_bytes < text.size() ? kept + "\u2026" : kept;
}

}  // namespace prm_score
