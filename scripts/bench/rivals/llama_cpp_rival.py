"""llama.cpp: the context is decoded once, as sequence 0; every prompt is a sequence that shares its beginning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import llama_cpp as api

from bench.errors import RivalError
from bench.prefixes import LONG_BRANCH, Branch, Trunk, make_trunks
from bench.prompts import DocumentPrompts
from bench.rivals.interface import Preparation

BATCH_TOKENS = 2048
MAX_BRANCHES = 16
CELLS_STEP = 256
CACHE_TYPES = {"F32": 0, "F16": 1}
"""GGML_TYPE_F32 and GGML_TYPE_F16."""
FLASH_DISABLED = 0
"""LLAMA_FLASH_ATTN_TYPE_DISABLED; the default is auto."""


@dataclass(frozen=True)
class Token:
    id: int
    position: int
    sequence: int
    answers: bool = False


class SharedSequences:
    def prepare(self, preparation: Preparation) -> None:
        api.llama_backend_init()
        model_params = api.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self.model = api.llama_model_load_from_file(str(preparation.converted).encode(), model_params)
        if not self.model:
            raise RivalError("llama.cpp cannot load the converted checkpoint")
        self.context = api.llama_init_from_model(self.model, self._context_params(preparation))
        if not self.context:
            raise RivalError("llama.cpp cannot make a context")
        self.memory = api.llama_get_memory(self.context)
        self.batch = api.llama_batch_init(BATCH_TOKENS, 0, 1)
        self.label_ids = preparation.label_ids

    @staticmethod
    def _context_params(preparation: Preparation) -> api.llama_context_params:
        params = api.llama_context_default_params()
        cells = preparation.longest_prompt + MAX_BRANCHES * LONG_BRANCH
        params.n_ctx = -(-cells // CELLS_STEP) * CELLS_STEP
        params.n_batch = BATCH_TOKENS
        params.n_seq_max = MAX_BRANCHES + 1
        params.kv_unified = True  # else a sequence cannot share a part of another one
        params.n_threads = params.n_threads_batch = preparation.threads
        params.type_k = params.type_v = CACHE_TYPES[preparation.settings["cache"]]
        if not preparation.settings["flash"]:
            params.flash_attn_type = FLASH_DISABLED
        params.no_perf = True
        return params

    def score(self, documents: Sequence[DocumentPrompts]) -> list[list[float]]:
        return [self._score_document(prompts) for prompts in documents]

    def _score_document(self, prompts: DocumentPrompts) -> list[float]:
        answers: dict[int, float] = {}
        for trunk in make_trunks(prompts):
            api.llama_memory_clear(self.memory, False)
            decoded = 0
            for branches in _groups(trunk):
                end = max(decoded, *(branch.shared for branch in branches))
                self._decode([Token(trunk.ids[i], i, 0) for i in range(decoded, end)])
                decoded = end
                answers |= self._score_branches(branches)
        return [answers[i] for i in range(len(prompts))]

    def _score_branches(self, branches: Sequence[Branch]) -> dict[int, float]:
        tokens: list[Token] = []
        for sequence, branch in enumerate(branches, 1):
            api.llama_memory_seq_rm(self.memory, sequence, -1, -1)
            if branch.shared > 0:
                api.llama_memory_seq_cp(self.memory, 0, sequence, 0, branch.shared)
            last = len(branch.ids) - 1
            tokens += [Token(id, branch.shared + i, sequence, i == last) for i, id in enumerate(branch.ids)]
        answers = self._decode(tokens)
        for sequence in range(1, len(branches) + 1):
            api.llama_memory_seq_rm(self.memory, sequence, -1, -1)
        return {branch.index: answer for branch, answer in zip(branches, answers, strict=True)}

    def _decode(self, tokens: Sequence[Token]) -> list[float]:
        """log-odds after the tokens that answer, in their order."""
        answers = []
        for first in range(0, len(tokens), BATCH_TOKENS):
            part = tokens[first : first + BATCH_TOKENS]
            self._fill(part)
            status = api.llama_decode(self.context, self.batch)
            if status != 0:
                raise RivalError(f"llama_decode: expected 0, found {status}")
            answers += [self._answer(i) for i, token in enumerate(part) if token.answers]
        return answers

    def _fill(self, tokens: Sequence[Token]) -> None:
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token.id
            batch.pos[i] = token.position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = token.sequence
            batch.logits[i] = token.answers

    def _answer(self, index: int) -> float:
        logits = api.llama_get_logits_ith(self.context, index)
        label_a, label_b = self.label_ids
        return logits[label_a] - logits[label_b]


def _groups(trunk: Trunk) -> Iterator[list[Branch]]:
    """Branches that fit into one batch, in the order of their prompts."""
    group: list[Branch] = []
    for branch in trunk.branches:
        if len(group) == MAX_BRANCHES or sum(len(b.ids) for b in group) + len(branch.ids) > BATCH_TOKENS:
            yield group
            group = []
        group.append(branch)
    yield group
