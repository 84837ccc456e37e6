#include "prm_score/cli/model_folder.h"

#include <system_error>

#include "prm_score/error.h"
#include "prm_score/io/hub_cache.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

fs::path shipped_judge_folder() {
  std::error_code error;
  const auto program = fs::read_symlink("/proc/self/exe", error);
  if (error) throw Error("--model: not given, and the program's own folder is unknown: " + error.message());
  const auto above = program.parent_path().parent_path();
  const fs::path candidates[] = {above / "share" / "prm_score" / "tiny-judge", above / "data" / "tiny-judge"};
  for (const auto& candidate : candidates) {
    if (fs::is_directory(candidate, error)) return candidate;
  }
  throw Error("--model: not given, and the judge that ships with the program is neither in " + candidates[0].string() +
              " nor in " + candidates[1].string());
}

}  // namespace

fs::path model_folder(const std::string& model) {
  return model.empty() ? shipped_judge_folder() : find_checkpoint(model, hub_cache_folder());
}

}  // namespace prm_score
