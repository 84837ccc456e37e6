"""Documents of given lengths, cut out of the addresses of the repository."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.documents import read_addresses
from bench.errors import BenchError
from bench.program import REPOSITORY
from scale.errors import ScaleError

WORD = re.compile(r"\S+")
STRIDE = 7919
"""Words between the beginnings of two documents, a prime: the next time round they begin elsewhere."""


class Texts:
    def __init__(self, corpus: Path = REPOSITORY / "data/corpus/sotu") -> None:
        try:
            self._text = "\n\n".join(read_addresses(corpus))
        except BenchError as error:
            raise ScaleError(str(error)) from error
        self._begins, self._ends = array("L"), array("L")
        for word in WORD.finditer(self._text):
            self._begins.append(word.start())
            self._ends.append(word.end())

    def cut(self, num_words: int, index: int) -> str:
        """The `index`-th document of that many words; each begins elsewhere."""
        if not 0 < num_words <= len(self._begins):
            raise ScaleError(f"documents: expected 1 to {len(self._begins)} words, found {num_words}")
        begin = index * STRIDE % (len(self._begins) - num_words + 1)
        return self._text[self._begins[begin] : self._ends[begin + num_words - 1]]

    def documents(self, words: Sequence[int], count: int) -> Iterator[str]:
        """`count` documents whose lengths go round through `words`."""
        return (self.cut(words[i % len(words)], i) for i in range(count))


def write_documents(path: Path, texts: Iterator[str]) -> int:
    """JSON lines; the number of their bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for i, text in enumerate(texts):
            file.write(json.dumps({"id": str(i), "text": text}, ensure_ascii=False) + "\n")
    return path.stat().st_size
