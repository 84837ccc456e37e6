// terminal_view.h - a scored document for people, in a terminal: every chunk on lines of its own behind its log-odds.
//
//   line 3  "1809-word_shuffle"  reward -7.004  204 tokens, 4 chunks
//     -7.01 | words of the first chunk
//           | its second line
//     -6.93 |  and the second chunk, which begins where the first one ends
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "prm_score/io/shaded_text.h"
#include "prm_score/text/document.h"

namespace prm_score {

struct TerminalStyle {
  bool color = false;
  int64_t width = 0;  // columns; 0 = lines as long as they are
};

// `reward` is what became of the document, `text` its text in the pieces of its chunks. A piece of several chunks
// (windows that overlap) stands behind the mean of their log-odds. Of the texts, line feeds make lines and tabs stay;
// what a terminal would obey is spelt out, as are the marks that turn the direction of writing. Colours: behind the
// text of a chunk, in 256-colour codes, blue for log-odds above 0 and orange below; never carried over a line's end.
// Lines of text longer than the width are broken behind a space, or where there is none anywhere, and go on under the
// margin. Ends with a line feed. Pure, thread-safe.
[[nodiscard]] std::string format_for_terminal(const RowOrigin& origin, const DocumentReward& reward,
                                              const ShadedText& text, const TerminalStyle& style);

// What the colours stand for, as one line.
[[nodiscard]] std::string color_legend();

}  // namespace prm_score
