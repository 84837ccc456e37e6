"""CTranslate2: the first step after each prompt, and the logits it was chosen from.

`forward_batch` would give the logits of every position (0.6 GB for a prompt of 1,000 tokens and Qwen2.5's vocabulary);
`generate_batch` computes those of the last one only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import ctranslate2
import numpy

from bench.prompts import DocumentPrompts
from bench.rivals.interface import Preparation

BATCH_SIZE = 8


class PaddedBatches:
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
        prompts = [[self.tokens[id] for id in prompt] for document in documents for prompt in document]
        answers = []
        for first in range(0, len(prompts), BATCH_SIZE):
            answers += self._score(prompts[first : first + BATCH_SIZE])
        following = iter(answers)
        return [[next(following) for _ in document] for document in documents]

    def _score(self, prompts: list[list[str]]) -> list[float]:
        results = self.generator.generate_batch(
            prompts,
            max_length=1,
            sampling_topk=1,
            include_prompt_in_result=False,
            return_logits_vocab=True,
        )
        return [self._log_odds(result) for result in results]

    def _log_odds(self, result: ctranslate2.GenerationResult) -> float:
        logits = numpy.array(result.logits[0][0]).reshape(-1)
        label_a, label_b = self.label_ids
        return float(logits[label_a]) - float(logits[label_b])
