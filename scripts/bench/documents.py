"""Documents to score: State of the Union addresses of the repository, cut to a number of words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.errors import BenchError

WORD = re.compile(r"\S+")
BETWEEN_ADDRESSES = "\n\n"


@dataclass(frozen=True)
class DocumentSet:
    """`count` documents of `num_words` words each."""

    num_words: int
    count: int

    @property
    def name(self) -> str:
        return f"{self.count} x {self.num_words:,} words"

    @property
    def file_name(self) -> str:
        return f"{self.num_words}x{self.count}"


def parse_sets(text: str) -> tuple[DocumentSet, ...]:
    """`WORDS:COUNT,..`, for argparse: a ValueError is a wrong argument."""
    sets = []
    for part in text.split(","):
        num_words, _, count = part.partition(":")
        sets.append(DocumentSet(int(num_words), int(count or "1")))
        if sets[-1].num_words < 1 or sets[-1].count < 1:
            raise ValueError
    return tuple(sorted(sets, key=lambda s: s.num_words))


def read_addresses(folder: Path) -> list[str]:
    """The addresses in the order of their names."""
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise BenchError(f"{folder}: expected addresses (*.txt), found none")
    return [file.read_text(encoding="utf-8").strip() for file in files]


def cut(text: str, num_words: int) -> str:
    """The first `num_words` words with the white space between them. Throws BenchError if there are fewer."""
    last = next(islice(WORD.finditer(text), num_words - 1, None), None)
    if last is None:
        raise BenchError(f"text: expected at least {num_words} words, found {len(WORD.findall(text))}")
    return text[: last.end()].lstrip()


def make_documents(addresses: Sequence[str], documents: DocumentSet) -> list[str]:
    """Each begins at another address, and goes on with the next ones where one is not enough."""
    step = max(1, len(addresses) // documents.count)
    return [_document(addresses, i * step, documents.num_words) for i in range(documents.count)]


def _document(addresses: Sequence[str], first: int, num_words: int) -> str:
    taken: list[str] = []
    missing = num_words
    for offset in range(len(addresses)):
        taken.append(addresses[(first + offset) % len(addresses)])
        missing -= len(WORD.findall(taken[-1]))
        if missing <= 0:
            break
    return cut(BETWEEN_ADDRESSES.join(taken), num_words)


def write_documents(path: Path, texts: Sequence[str]) -> None:
    """JSON lines, as prm-score reads them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"id": str(i), "text": text}, ensure_ascii=False) + "\n" for i, text in enumerate(texts))
    path.write_text("".join(lines), encoding="utf-8")
