// model_folder.h - what `--model` stands for.
#pragma once

#include <filesystem>
#include <string>

namespace prm_score {

// The checkpoint folder: `model` as a path or hub name (io/hub_cache.h), or for an empty `model` the judge that ships
// with the program, which lies at a place relative to the program's own file:
//   <build>/prm-score       ->  <build>/../data/tiny-judge
//   <prefix>/bin/prm-score  ->  <prefix>/share/prm_score/tiny-judge
// Throws Error naming what was looked for.
[[nodiscard]] std::filesystem::path model_folder(const std::string& model);

}  // namespace prm_score
