"""Input ids of every chunk's prompt, from the output of `prm-score prompts`: what all rivals are given."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError

Prompt = array
"""Of C ints: lists of Python's own would take seven times the memory, and be counted as a rival's."""
DocumentPrompts = list[Prompt]


def read_prompts(path: Path) -> list[DocumentPrompts]:
    """The prompts of each document, in order."""
    documents: dict[int, DocumentPrompts] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            if "input_ids" not in row:
                raise BenchError(
                    f"{path.name}:{number}: expected input_ids, found {row.get('error', 'something else')}"
                )
            documents.setdefault(row["line"], []).append(array("i", row["input_ids"]))
    return list(documents.values())


def longest(documents: Sequence[DocumentPrompts]) -> int:
    return max(len(prompt) for prompts in documents for prompt in prompts)
