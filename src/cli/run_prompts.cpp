#include "command_parts.h"
#include "written_files.h"

#include "prm_score/cli/commands.h"
#include "prm_score/cli/model_folder.h"
#include "prm_score/cli/progress_display.h"
#include "prm_score/io/row.h"
#include "prm_score/model/model_config.h"
#include "prm_score/text/prompt.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

int run_prompts(const Options& options, StopSignals& stop) {
  const auto start = std::chrono::steady_clock::now();
  expect_no_loop(options.files);
  JsonlReader reader(reader_options(options, stop));
  JsonlWriter writer = standard_output(stop.fd());
  const auto folder = model_folder(options.model);
  const auto tokenizer = load_tokenizer(folder, {.special_tokens = options.special_tokens});
  const PromptBuilder builder(*tokenizer, options.prompt, load_model_config(folder).max_positions());

  Metadata run;
  RunCounts& counts = run.counts;
  BadRows bad_rows(options);
  const auto answer = [&](const Document& document, JsonlWriter& rows) {
    const auto prompts = builder.build(document, {.prompt_texts = true, .stop = &stop.requested()});
    if (stop.requested()) return Answer::kStopped;
    if (!prompts.error.empty()) {
      rows.write(format_error_row({document.origin, prompts.error}));
      bad_rows.add(prompts.error);
      return Answer::kBad;
    }
    for (const auto& prompt : prompts.prompts) {
      if (stop.requested()) return Answer::kStopped;
      rows.write(format_prompt_row(document.origin, prompts, prompt));
    }
    counts.num_tokens += prompts.num_tokens;
    counts.num_chunks += static_cast<int64_t>(prompts.prompts.size());
    return Answer::kGood;
  };
  stop.finish_rows();
  try {
    RunEnd end = RunEnd::kInput;
    {
      const ScopedSeconds timed(run.times.emplace().scoring);
      ProgressDisplay progress(progress_style(options), reader.size(), {});
      const auto show = [&] { progress.update(counts, reader.num_input_bytes()); };
      const auto bad_line = [&](const LineError& line) { bad_rows.add(line.reason); };
      end = run_pipeline(reader, answer, writer, {options.max_errors, stop.requested(), show, bad_line}, counts);
    }
    return finish_run({end, run, bad_rows.hint(reader.begins_as_array())}, options, stop, start);
  } catch (const StalledOutput&) {
    return 128 + stop.signal_number();
  }
}

}  // namespace prm_score
