"""Versions of a text, real and made worse, and what a chunk of one is worth as an example.

One JSON object a line, the versions of one text behind one another, the real one last:

    {"id", "document", "source", "kind", "scope", "strength", "temperature", "text", "chosen", "rejected", "provenance"}

`chosen` and `rejected` are half-open code-point ranges of `text`: what is real there, and what was made worse. Text in
neither (a prefix that another version shows already) is only context. `scope`: "document" = made worse from end to end,
to compare with the real version; "chunk" = a real beginning and one rejected chunk.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

REAL, SAMPLED, TRANSLATION = "real", "sampled", "translation"
DOCUMENT, CHUNK = "document", "chunk"

Range = tuple[int, int]


@dataclass(frozen=True)
class Version:
    id: str
    document: str
    source: str
    kind: str
    scope: str
    text: str
    strength: float | None = None
    temperature: float | None = None
    chosen: tuple[Range, ...] = ()
    rejected: tuple[Range, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


def version_of(line: str) -> Version:
    record = json.loads(line)
    for name in ("chosen", "rejected"):
        record[name] = tuple((begin, end) for begin, end in record[name])
    return Version(**record)


def _overlap(chunk: Range, ranges: Sequence[Range]) -> int:
    return sum(max(0, min(chunk[1], end) - max(chunk[0], begin)) for begin, end in ranges)


def chunk_label(version: Version, chunk: Range) -> int | None:
    """1 = chosen: wholly real; 0 = rejected: at least half of it was made worse; None = neither, no example.

    `chunk`: its code points in the text, not empty. A cut character may put its ends off by one.
    """
    length = chunk[1] - chunk[0]
    if 2 * _overlap(chunk, version.rejected) >= length:
        return 0
    return 1 if _overlap(chunk, version.chosen) >= length - 2 and not _overlap(chunk, version.rejected) else None
