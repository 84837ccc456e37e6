"""transformers in three ways: prompt by prompt, in padded batches, and with a cache of what prompts share."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import torch
import transformers

from bench.prefixes import common_prefix
from bench.prompts import DocumentPrompts, Prompt
from bench.rivals.interface import Preparation

BATCH_SIZE = 8


class _Transformers:
    def prepare(self, preparation: Preparation) -> None:
        torch.set_num_threads(preparation.threads)
        self.device = torch.device(preparation.device)
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(
            preparation.checkpoint, dtype=getattr(torch, preparation.dtype), attn_implementation="sdpa"
        )
        self.model = model.to(self.device).eval()
        self.label_ids = preparation.label_ids

    def log_odds(self, logits: torch.Tensor) -> list[float]:
        """logits [num_prompts, vocab_size], at the last position of each prompt."""
        label_a, label_b = self.label_ids
        return (logits[:, label_a].float() - logits[:, label_b].float()).tolist()

    def ids(self, prompt: Prompt) -> torch.Tensor:
        """[1, num_tokens]"""
        return torch.tensor(prompt, dtype=torch.long, device=self.device)[None]


class OneAtATime(_Transformers):
    @torch.inference_mode()
    def score(self, documents: Sequence[DocumentPrompts]) -> list[list[float]]:
        return [[self._score(prompt) for prompt in prompts] for prompts in documents]

    def _score(self, prompt: Prompt) -> float:
        logits = self.model(input_ids=self.ids(prompt), use_cache=False, logits_to_keep=1).logits[:, -1]
        return self.log_odds(logits)[0]


class PaddedBatches(_Transformers):
    """In the order of the documents: neighbours differ by one chunk, so that little is padding."""

    @torch.inference_mode()
    def score(self, documents: Sequence[DocumentPrompts]) -> list[list[float]]:
        prompts = [prompt for document in documents for prompt in document]
        answers: list[float] = []
        for first in range(0, len(prompts), BATCH_SIZE):
            answers += self._score(prompts[first : first + BATCH_SIZE])
        following = iter(answers)
        return [[next(following) for _ in document] for document in documents]

    def _score(self, prompts: Sequence[Prompt]) -> list[float]:
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=self.device)
        longest = int(lengths.max())
        padded = torch.cat([self.ids(prompt + array("i", bytes(4 * (longest - len(prompt))))) for prompt in prompts])
        mask = torch.arange(longest, device=self.device)[None] < lengths[:, None]
        # The head for the last positions only, which differ from row to row.
        hidden = self.model.model(input_ids=padded, attention_mask=mask.long(), use_cache=False).last_hidden_state
        return self.log_odds(self.model.lm_head(hidden[torch.arange(len(prompts)), lengths - 1]))


class PrefixCache(_Transformers):
    """Keys and values of the context are kept from prompt to prompt; what a prompt alone has is cut off again."""

    @torch.inference_mode()
    def score(self, documents: Sequence[DocumentPrompts]) -> list[list[float]]:
        return [self._score_document(prompts) for prompts in documents]

    def _score_document(self, prompts: DocumentPrompts) -> list[float]:
        cache = transformers.DynamicCache()
        cached = 0  # ids of this prompt whose keys and values are there
        answers = []
        for prompt, following in zip(prompts, [*prompts[1:], None], strict=True):
            logits = self.model(
                input_ids=self.ids(prompt[cached:]), past_key_values=cache, use_cache=True, logits_to_keep=1
            ).logits[:, -1]
            answers += self.log_odds(logits)
            if following is not None:
                # Tokens may merge over the joints, so that only the ids tell what the next prompt shares.
                cached = min(common_prefix(prompt, following), len(following) - 1)
                self._crop(cache, len(prompt) - cached)
        return answers

    @staticmethod
    def _crop(cache: transformers.DynamicCache, num_tokens: int) -> None:
        """Removes the last tokens; all of them where nothing is shared."""
        if num_tokens > 0:
            cache.crop(-num_tokens)
