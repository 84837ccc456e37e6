// output_file.h - the rows of `--output F`, so that no end of the process costs one that was written.
//
//   F.state     there before F.partial; as of the last row that is surely on the disk, see run_state.h
//   F.partial   the rows, appended as they are done; on the disk every two seconds
//   F           F.partial, renamed when it is whole; F.state, which then has the exit code, stays
//
// F.partial.new and F.state.new exist for a moment, and may be left by a killed process; they are used again.
//
// Rows of F.partial that its state does not know of (those of the last two seconds before a kill) are not believed
// blindly: they stay, the lines that they answer are scored again, and the new rows have to be the same. Where
// warning() says why they may not be, they go.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "prm_score/io/run_state.h"

namespace prm_score {

enum class IfThere {
  kRefuse,     // F and F.partial must not exist
  kOverwrite,  // they are removed
  kResume,     // the run that began them goes on
};

class OutputFile {
 public:
  // What the output `path` takes up in its folder: F and the four names above.
  [[nodiscard]] static std::vector<std::string> names_of(const std::string& path);

  // Looks at what is there and changes nothing. `now`: fingerprint and records of this run. Throws Error if something
  // is in the way: without kResume or kOverwrite F or F.partial; with kResume either of them without F.state, a state
  // of other fingerprint (what differs is named) or shard, a file shorter than its state says, or one that another
  // process writes; without kOverwrite a F.state that is none. `sync_interval`: how long a row may be on its way to the
  // disk.
  OutputFile(std::string path, IfThere if_there, const RunState& now,
             std::chrono::milliseconds sync_interval = std::chrono::seconds(2));
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Whether an earlier run reached its end: there is nothing to do but complete().
  [[nodiscard]] bool is_complete() const;

  // What an earlier run answered, as F.state has it; all zero for a fresh start. Its input_sha256 is known.
  [[nodiscard]] const RunProgress& answered() const;

  // Whole rows that are there, those that F.state does not know of too.
  [[nodiscard]] int64_t num_rows_there() const;

  // What differs from the records of the earlier run: "torch: 2.11.0 there, 2.15.0 now"; empty if nothing does.
  [[nodiscard]] const std::string& warning() const;

  // Makes F.state and F.partial, or takes up F.partial behind the last row that is answered(). `num_lines` and
  // `input_sha256`: up to the last line that is answered, 0 and empty if none is. Throws Error.
  void begin(int64_t num_lines, const std::string& input_sha256);

  // A whole row. `counts` and `input_sha256`: with it. Where F.partial has a row at this place already, it has to be
  // the same. Throws Error naming F.partial, which then ends with the row before; also for what went wrong in the
  // background since the last call: where the disk itself failed, F.partial then ends with the last row that is safe.
  void write(std::string_view row, const RunCounts& counts, const std::string& input_sha256);

  // Brings all rows and their state to the disk, and ends writing; F.partial stays. Throws Error.
  void close();

  // The same, records the exit code, the SHA-256 of the rows and `input`, and renames F.partial to F. Throws Error,
  // also if F has appeared meanwhile, or if F.partial has rows that no write() gave again: the input has become
  // shorter.
  void finish(const RunCounts& counts, int exit_code, const InputSummary& input = {});

  // Of a complete output: renames F.partial if an earlier run had no time to. Gives the exit code that is recorded.
  // Throws Error.
  [[nodiscard]] int complete();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace prm_score
