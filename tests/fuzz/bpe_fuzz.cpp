// Encoding and decoding against each other, and prefixes against whole strings, with the shipped judge's tokenizer.
#include "fuzz.h"

#include "prm_score/text/tokenizer.h"

namespace {

// Any bytes as valid UTF-8: pairs that begin above 0x7F are code points.
std::string utf8_of(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte < 0x80) {
      text += bytes[i];
      continue;
    }
    const auto next = static_cast<unsigned char>(i + 1 < bytes.size() ? bytes[++i] : 0);
    uint32_t code = (byte - 0x80U) << 8 | next;  // up to U+7FFF
    if (byte >= 0xF0) code += 0x10000;           // some beyond the first plane
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else if (code < 0x800) {
      text += {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
    } else if (code < 0x10000) {
      text += {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3F)),
               static_cast<char>(0x80 | (code & 0x3F))};
    } else {
      text += {static_cast<char>(0xF0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 0x3F)),
               static_cast<char>(0x80 | (code >> 6 & 0x3F)), static_cast<char>(0x80 | (code & 0x3F))};
    }
  }
  return text;
}

bool is_boundary(const std::string& text, size_t place) {
  return place == text.size() || (static_cast<unsigned char>(text[place]) & 0xC0) != 0x80;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace prm_score;
  static const auto tokenizer = load_tokenizer(PRM_SCORE_DATA_DIR "/tiny-judge", {});
  const std::string text = utf8_of(fuzz::text_of(data, size));
  const auto ids = tokenizer->encode(text);
  const std::string decoded = tokenizer->decode(ids);  // the text, in NFC
  fuzz::expect(tokenizer->encode(decoded) == ids && decoded.empty() == text.empty(), "decoding gives the text");
  fuzz::expect(tokenizer->encode_with_sources(text).ids == ids, "sources change no id");
  if (text.empty()) return 0;
  size_t place = data[0] * text.size() / 256;
  while (!is_boundary(text, place)) ++place;
  const std::string tail = text.substr(0, text.size() - place);
  if (!is_boundary(text, tail.size())) return 0;
  const auto joined = tokenizer->encode_trunk(text)->join(static_cast<int64_t>(place), tail);
  const auto expected = make_whole_string_trunk(*tokenizer, text)->join(static_cast<int64_t>(place), tail);
  fuzz::expect(joined.num_shared == expected.num_shared && joined.rest == expected.rest, "prefixes join exactly");
  return 0;
}
