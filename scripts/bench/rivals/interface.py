"""What a rival does inside its worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.prompts import DocumentPrompts


@dataclass(frozen=True)
class Preparation:
    checkpoint: Path
    """In the Hugging Face layout."""
    converted: Path
    """The same in the rival's own format; the checkpoint where it needs none."""
    dtype: str
    device: str
    threads: int
    label_ids: tuple[int, int]
    longest_prompt: int
    settings: dict[str, Any]


class Rival(Protocol):
    def prepare(self, preparation: Preparation) -> None:
        """Loads the model; not timed."""

    def score(self, documents: Sequence[DocumentPrompts]) -> list[list[float]]:
        """log-odds of each chunk of each document; timed."""
