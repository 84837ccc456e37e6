// fingerprint.h - by what a run is known again. Private to the cli layer.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "prm_score/cli/options.h"
#include "prm_score/io/run_state.h"
#include "prm_score/score/scorer.h"

namespace prm_score {

// Fingerprint and records of the run that `options` ask for; `scorer`: what they come to. Reads all files of the
// checkpoint, several at a time. Throws Error for one that cannot be read.
[[nodiscard]] RunState state_of_run(const Options& options, const ScorerOptions& scorer);

// SHA-256 in hexadecimal digits of the checkpoint's files, by their names; "--random-weights" for that file. Reads all
// of them, once in a process. Throws Error. Not thread-safe.
[[nodiscard]] const std::map<std::string, std::string>& checkpoint_sha256(const ScorerOptions& options);

}  // namespace prm_score
