#include "prm_score/cli/scorer_options.h"

#include "prm_score/cli/model_folder.h"

namespace prm_score {

ScorerOptions scorer_options(const Options& options) {
  ScorerOptions scorer;
  scorer.model = model_folder(options.model);
  scorer.random_weights = options.random_weights;
  scorer.weight_memory = options.weight_memory;
  scorer.device = options.device;
  scorer.dtype = options.dtype;
  scorer.threads = options.threads;
  scorer.label_a = options.label_a;
  scorer.label_b = options.label_b;
  scorer.special_tokens = options.special_tokens;
  scorer.prompt = options.prompt;
  scorer.spans = options.spans;
  scorer.ids_sha256 = options.command == Command::kCheck;
  scorer.prefix_sharing = !options.no_prefix_sharing;
  scorer.self_check = options.self_check;
  scorer.max_batch_tokens = options.max_batch_tokens;
  return scorer;
}

}  // namespace prm_score
