"""vLLM with prefix caching; the log-odds come from the log-probabilities of the two letters."""

from __future__ import annotations

from collections.abc import Sequence

import vllm

from bench.prompts import DocumentPrompts
from bench.rivals.interface import Preparation

GPU_MEMORY_SHARE = 0.45
"""The other programs of the run are on the same GPU."""


class PrefixCaching:
    def prepare(self, preparation: Preparation) -> None:
        self.label_ids = preparation.label_ids
        # Only the two letters may follow: the log-probabilities after that rule are among the two, whose ratio stays.
        self.sampling = vllm.SamplingParams(
            max_tokens=1, temperature=0.0, logprobs=2, allowed_token_ids=list(preparation.label_ids), detokenize=False
        )
        self.engine = vllm.LLM(
            model=str(preparation.checkpoint),
            dtype=preparation.dtype,
            enable_prefix_caching=True,
            logprobs_mode="processed_logprobs",
            max_model_len=preparation.longest_prompt + 1,
            gpu_memory_utilization=GPU_MEMORY_SHARE,
            seed=0,
        )

    def score(self, documents: Sequence[DocumentPrompts]) -> list[list[float]]:
        # What an earlier round left in the cache would make this one look fast.
        self.engine.reset_prefix_cache()
        prompts = [{"prompt_token_ids": list(prompt)} for document in documents for prompt in document]
        outputs = iter(self.engine.generate(prompts, self.sampling, use_tqdm=False))
        return [[self._log_odds(next(outputs)) for _ in document] for document in documents]

    def _log_odds(self, output: vllm.RequestOutput) -> float:
        log_probabilities = output.outputs[0].logprobs[0]
        label_a, label_b = self.label_ids
        return log_probabilities[label_a].logprob - log_probabilities[label_b].logprob
