"""Continuations from the base model, many at once, each at its own temperature."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
from transformers import DynamicCache, Qwen2ForCausalLM

TEMPERATURES = (0.7, 1.5)


@dataclass(frozen=True)
class Request:
    """`num_tokens` tokens wanted after `context` (never empty: a beginning is `<|endoftext|>`)."""

    context: tuple[int, ...]
    num_tokens: int
    temperature: float


class Sampler:
    """Samples without top-k or top-p: the temperature alone decides how wild the text is."""

    def __init__(self, model: Qwen2ForCausalLM, forbidden: list[int], seed: int, batch: int = 128) -> None:
        self._model = model.eval()
        self._forbidden = torch.tensor(forbidden)
        self._generator = torch.Generator().manual_seed(seed)
        self._batch = batch

    def sample(self, requests: list[Request]) -> list[list[int]]:
        """One list of ids per request, in the order of the requests."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            groups[len(request.context), request.num_tokens].append(index)
        results: list[list[int]] = [[] for _ in requests]
        for (_, num_tokens), members in sorted(groups.items()):
            for begin in range(0, len(members), self._batch):
                batch = members[begin : begin + self._batch]
                rows = self._sample_batch([requests[i] for i in batch], num_tokens)
                for index, row in zip(batch, rows.tolist(), strict=True):
                    results[index] = row
        return results

    @torch.inference_mode()
    def _sample_batch(self, requests: list[Request], num_tokens: int) -> torch.Tensor:
        input_ids = torch.tensor([r.context for r in requests])
        temperatures = torch.tensor([[r.temperature] for r in requests])
        cache = DynamicCache(config=self._model.config)
        out: list[torch.Tensor] = []
        for _ in range(num_tokens):
            with torch.autocast("cpu", torch.bfloat16):
                logits = self._model(
                    input_ids=input_ids, past_key_values=cache, use_cache=True, logits_to_keep=1
                ).logits[:, -1]
            logits = logits.float() / temperatures
            logits[:, self._forbidden] = float("-inf")
            input_ids = torch.multinomial(logits.softmax(-1), 1, generator=self._generator)
            out.append(input_ids)
        return torch.cat(out, dim=1)
