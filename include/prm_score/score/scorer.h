// scorer.h - the library's face: open a checkpoint, score documents.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "prm_score/score/document_stream.h"
#include "prm_score/text/document.h"
#include "prm_score/text/prompt.h"
#include "prm_score/text/stage_times.h"
#include "prm_score/text/tokenizer.h"

namespace prm_score {

struct ScorerOptions {
  std::filesystem::path model;                // checkpoint folder in the Hugging Face layout
  std::filesystem::path random_weights = {};  // a config.json: weights of that shape drawn from a seed, in place of the
                                              // checkpoint's; empty = none
  std::string device = "auto";  // auto, cpu, cuda, cuda:N, cuda:all, cuda:0,cuda:1, cpu,cpu: a replica each
  std::string dtype = "auto";   // auto (float32 on CPU, bfloat16 on CUDA), float32, bfloat16, int8, fp8
  int threads = 0;              // CPU threads of all replicas; 0 = as many as there are processors for this process
  std::string label_a = "A", label_b = "B";
  SpecialTokens special_tokens = SpecialTokens::kParse;
  PromptOptions prompt;
  bool spans = false;
  bool ids_sha256 = false;
  std::optional<int64_t> weight_memory = std::nullopt;  // bytes for converted weights; what is there if not given
  bool prefix_sharing = true;                           // false: the oracle path, each prompt on its own
  std::optional<bool> self_check = std::nullopt;        // before the first document; not given: on CUDA only
  int64_t max_batch_tokens = 0;  // rows of one model step at most, at least kMinBatchTokens; 0 = what suits the device
  std::function<void(const std::string&)> warn = nullptr;  // told of replicas that fail, on the thread of score()
};

// No step is smaller than the rows that are computed together.
inline constexpr int64_t kMinBatchTokens = 64;

// "unknown" is what the driver does not say.
struct GpuName {
  std::string model, driver;  // "NVIDIA H200", "580.159.04"
};

// What the options came to, for the metadata.
struct ScorerInfo {
  std::string model_type;     // qwen2, qwen3, llama, mistral
  std::string device, dtype;  // as resolved; "cuda:0,cuda:1" for two replicas
  int num_replicas = 0;
  int threads = 0, threads_per_replica = 0;
  int64_t max_positions = 0;  // longest prompt in tokens
  int64_t max_context = 0;    // as resolved
  int64_t max_batch_tokens = 0;
  TokenId label_a_id = 0, label_b_id = 0;
  std::string torch_version;
  GpuName gpu;                                      // empty on the CPU
  double load_seconds = 0, self_check_seconds = 0;  // of opening it
};

struct ResolvedDevice {
  std::string device, dtype;
  int threads = 0, threads_per_replica = 0;
  GpuName gpu;  // empty on the CPU
};

// What the options come to here, without opening the checkpoint. Throws Error as Scorer does. Not thread-safe.
[[nodiscard]] ResolvedDevice resolve_device(const ScorerOptions& options);

// Processors that this process may use.
[[nodiscard]] int num_processors_here();

// The instructions that libtorch's own kernels use on this CPU: "AVX512", "AVX2", "DEFAULT" (the least there is).
[[nodiscard]] std::string cpu_instruction_set();

// Not thread-safe: one `score` at a time.
class Scorer {
 public:
  // Throws Error if the checkpoint cannot be used, naming file, field, expected and found, or if the self-check fails.
  explicit Scorer(const ScorerOptions& options);
  ~Scorer();
  Scorer(Scorer&&) noexcept;
  Scorer& operator=(Scorer&&) noexcept;

  // A document that cannot be scored gives a DocumentReward with `error`. Throws Error only if the run cannot go on.
  [[nodiscard]] DocumentReward score(const Document& document);

  // Scores what comes, as score_stream() says. Throws Error, too, once a file of the checkpoint is written to. `times`:
  // what that takes is added, also if it throws; nullptr: nowhere.
  void score(LineSource& source, const TakeReward& take, const std::atomic<bool>& stop, StageTimes* times = nullptr);

  [[nodiscard]] const ScorerInfo& info() const;
  [[nodiscard]] const Tokenizer& tokenizer() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace prm_score
