// A strange config.json: refused, or sizes that can be computed with.
#include "fuzz.h"

#include "prm_score/model/model_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace prm_score;
  try {
    const ModelConfig config = parse_model_config(fuzz::text_of(data, size), "config.json");
    fuzz::expect(config.num_hidden_layers > 0 && config.head_dim > 0 && config.vocab_size > 0, "sizes are positive");
    fuzz::expect(config.num_parameters() > 0, "the number of parameters does not overflow");
    fuzz::expect(config.max_positions() > 0, "there are positions");
  } catch (const Error&) {
  }
  return 0;
}
