#include "prm_score/cli/commands.h"

#include "prm_score/model/torch_version.h"

namespace prm_score {

int run_command(const Options& options, const std::vector<std::string>& command_line, StopSignals& stop) {
  switch (options.command) {
    case Command::kScore:
      return run_score(options, command_line, stop);
    case Command::kPrompts:
      return run_prompts(options, stop);
    case Command::kPairs:
      return run_pairs(options, command_line, stop);
    case Command::kCheck:
      return run_check(options, command_line, stop);
    case Command::kShow:
      return run_show(options, stop);
    case Command::kReport:
      return run_report(options, stop);
    case Command::kMerge:
      return run_merge(options, stop);
    case Command::kQuantize:
      return run_quantize(options, stop);
    case Command::kInfo:
      return run_info(options);
  }
  return 1;
}

std::string version_text() { return "prm-score " PRM_SCORE_VERSION "\nlibtorch " + torch_version(); }

}  // namespace prm_score
