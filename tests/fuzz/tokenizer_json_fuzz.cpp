// A strange tokenizer.json: refused, or a tokenizer that works.
#include "fuzz.h"

#include "prm_score/text/bpe_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace prm_score;
  try {
    const BpeTokenizer tokenizer(fuzz::text_of(data, size), "tokenizer.json", std::nullopt, {});
    const auto ids = tokenizer.encode("Hello, W\xC3\xB6rld!  \n\n 123 <|end|>a");
    for (const TokenId id : ids) fuzz::expect(id >= 0 && id < tokenizer.vocab_size(), "ids are in the vocabulary");
    static_cast<void>(tokenizer.decode(ids));
  } catch (const Error&) {
  }
  return 0;
}
