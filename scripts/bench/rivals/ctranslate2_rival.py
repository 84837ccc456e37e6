"""CTranslate2: the first step after each prompt, and the logits it was chosen from.

Prompt by prompt. `forward_batch` takes batches, but gives the logits of every position (0.6 GB for 1,000 tokens and
Qwen2.5's vocabulary); `generate_batch` computes those of the last one only, but runs what the prompts of a batch are
longer than the shortest one token by token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import ctranslate2
import numpy

from bench.prompts import DocumentPrompts, Prompt
from bench.rivals.interface import Preparation


class OneAtATime:
    def prepare(self, preparation: Preparation) -> None:
        self.generator = ctranslate2.Generator(
            str(preparation.converted),
            device=preparation.device,
            compute_type=preparation.dtype,
            inter_threads=1,
            intra_threads=preparation.threads,
        )
        vocabulary = (preparation.converted / "vocabulary.json").read_text(encoding="utf-8")
        self.tokens: list[str] = json.loads(vocabulary)  # prompts are given as tokens, not as ids
        self.label_ids = preparation.label_ids

    def score(self, documents: Sequence[DocumentPrompts]) -> list[list[float]]:
        return [[self._score(prompt) for prompt in prompts] for prompts in documents]

    def _score(self, prompt: Prompt) -> float:
        (result,) = self.generator.generate_batch(
            [[self.tokens[id] for id in prompt]],
            max_length=1,
            sampling_topk=1,
            include_prompt_in_result=False,
            return_logits_vocab=True,
        )
        logits = numpy.array(result.logits[0][0]).reshape(-1)
        label_a, label_b = self.label_ids
        return float(logits[label_a]) - float(logits[label_b])
