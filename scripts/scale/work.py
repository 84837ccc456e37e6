"""How much a document is to score: rows of the forward passes, and the keys that these attend to.

    trunk       one row per token of the longest context; each sees the rows before it and itself
    branch i    the tokens of chunk i and of the template; each sees the context of the chunk, and its own branch so far

Where a context would grow longer than `max_context` its begin moves on by half of it, and a new trunk begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Prompts:
    """What makes the prompts of a judge. `template_rows`: rows that a branch has beside its chunk's, on average."""

    template_rows: float
    max_context: int
    chunk_size: int = 64


@dataclass(frozen=True)
class Work:
    """Sums over documents."""

    documents: float = 0
    tokens: float = 0
    chunks: float = 0
    rows: float = 0
    keys: float = 0

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Work)))


def work_of_document(num_tokens: int, prompts: Prompts) -> Work:
    size = prompts.chunk_size
    move = max(1, prompts.max_context // 2 // size) * size
    begin = context = 0
    rows = keys = 0.0
    for start in range(0, num_tokens, size):
        if start - begin > prompts.max_context:
            rows, keys = rows + context, keys + _triangle(context)
            while start - begin > prompts.max_context:
                begin = min(start, begin + move)
        context = start - begin
        own = min(size, num_tokens - start) + prompts.template_rows
        rows, keys = rows + own, keys + own * context + _triangle(own)
    chunks = -(-num_tokens // size)
    return Work(1, num_tokens, chunks, rows + context, keys + _triangle(context))


def work_of(lengths: Iterable[int], prompts: Prompts) -> Work:
    return sum((work_of_document(length, prompts) for length in lengths), Work())


def template_rows(lengths: Iterable[int], num_rows: int, max_context: int) -> float:
    """What branches have beside their chunks, by the rows that the program computed for documents of these lengths."""
    without = work_of(lengths, Prompts(0, max_context))
    return (num_rows - without.rows) / without.chunks


def _triangle(rows: float) -> float:
    return rows * (rows + 1) / 2
