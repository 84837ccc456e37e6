"""The training corpus: which files are read, which addresses are held out, and how excerpts are cut."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_CORPUS = REPOSITORY / "data" / "corpus"
HELD_OUT_EVERY = 10
"""The 10th, 20th, .. address in name order is held out, whole."""

SENTENCE_START = re.compile(r"(?<=[.!?;])\s+(?=[\"'A-Z])")


@dataclass(frozen=True)
class Source:
    """One file of the corpus."""

    name: str
    text: str


def _read(path: Path) -> Source:
    return Source(path.stem, path.read_text(encoding="utf-8").strip())


def _address_paths(corpus: Path) -> list[Path]:
    paths = sorted((corpus / "sotu").glob("*.txt"))
    if not paths:
        raise FileNotFoundError(f"{corpus / 'sotu'}: no *.txt file")
    return paths


def training_sources(corpus: Path = DEFAULT_CORPUS) -> list[Source]:
    """All that may be trained on: nine addresses in ten, and the novel."""
    paths = [p for i, p in enumerate(_address_paths(corpus), start=1) if i % HELD_OUT_EVERY]
    return [_read(p) for p in [*paths, corpus / "moby-dick.txt"]]


def held_out_sources(corpus: Path = DEFAULT_CORPUS) -> list[Source]:
    """The addresses that no training step reads."""
    return [_read(p) for i, p in enumerate(_address_paths(corpus), start=1) if i % HELD_OUT_EVERY == 0]


class ExcerptPicker:
    """Draws excerpts from sources, each character of the corpus equally likely to start one."""

    def __init__(self, sources: list[Source]) -> None:
        self._sources = sources
        self._weights = [len(s.text) for s in sources]

    def pick(self, rng: random.Random, num_chars: int) -> str:
        """At most `num_chars` characters: from the file's beginning, a sentence's or a word's."""
        text = rng.choices(self._sources, self._weights)[0].text
        how = rng.random()
        if how < 0.15:
            return text[:num_chars]
        begin = rng.randrange(max(1, len(text) - num_chars // 2))
        if how < 0.6 and (match := SENTENCE_START.search(text, begin)):
            begin = match.end()
        elif (space := text.find(" ", begin)) >= 0:
            begin = space + 1
        return text[begin : begin + num_chars]
