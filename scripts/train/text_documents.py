"""Finished documents of a source: cut and joined to size, the best ones of a large source, each in its split."""

from __future__ import annotations

import bisect
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from errors import InputError
from prose import HEADING, PARAGRAPH, TERM, TERM_LEVEL, Block, is_english, literature, render, tidy
from text_readers import Files
from text_sources import HELD_OUT, TRAIN, Source

HELD_OUT_EVERY = 10
"""Of the addresses the 10th, 20th, .. in name order is held out, whole."""
HELD_OUT_DOCUMENTS = 12
"""One document in this many is held out."""
MIN_CHARS = 1_500
"""A shorter document is joined with its neighbours or dropped."""
JOINED_CHARS = 6_000
"""Small neighbours are joined up to about this length."""
MAX_CHARS = 40_000
"""A longer document is cut at headings."""
LONG_PARAGRAPH_CHARS = 200


@dataclass
class Text:
    """A finished document; `origin` decides about holding out, so that the parts of one page stay together."""

    id: str
    text: str
    origin: str


def cut(blocks: list[Block], max_chars: int) -> list[list[Block]]:
    """Parts of about `max_chars` characters at most, cut before the highest heading near the place."""
    total, sizes = 0, []
    for block in blocks:
        total += len(block.text) + 2
        sizes.append(total)
    if total <= max_chars:
        return [blocks]
    parts = -(-total // max_chars)
    first = bisect.bisect(sizes, total * 0.6 / parts)
    last = max(first + 1, bisect.bisect(sizes, total * 1.4 / parts))
    places = [i for i in range(max(1, first), min(last, len(blocks))) if blocks[i].kind in (HEADING, PARAGRAPH, TERM)]
    if not places:
        return [blocks]
    aim = total / parts
    rank = {HEADING: 0, TERM: TERM_LEVEL, PARAGRAPH: 2 * TERM_LEVEL}
    place = min(places, key=lambda i: (rank[blocks[i].kind] + blocks[i].level, abs(sizes[i] - aim)))
    return [blocks[:place], *cut(blocks[place:], max_chars)]


def join_small(texts: Iterable[tuple[str, str, str]], min_chars: int, joined_chars: int) -> Iterator[tuple[str, str]]:
    """(id, group, text) to (id, text): small neighbours of a group are joined, what stays small is left out."""
    waiting: list[tuple[str, str, str]] = []

    def size() -> int:
        return sum(len(x[2]) + 2 for x in waiting)

    def joined() -> Iterator[tuple[str, str]]:
        if size() >= min_chars:
            yield waiting[0][0], "\n\n".join(x[2] for x in waiting)
        waiting.clear()

    for id, group, text in texts:
        if waiting and (waiting[0][1] != group or not group or size() + len(text) > joined_chars):
            yield from joined()
        if len(text) >= min_chars:
            if waiting and size() < min_chars and size() + len(text) <= joined_chars:
                waiting.append((id, group, text))
                yield from joined()
            else:
                yield from joined()
                yield id, text
        else:
            waiting.append((id, group, text))
    yield from joined()


def documents_of(source: Source, root: Path) -> list[Text]:
    """The finished documents of a source."""
    paths: list[Path] = []
    for pattern in source.patterns:
        paths += sorted(x for x in root.glob(pattern) if x.is_file() and x not in paths)
    excluded = re.compile(source.excluded or r"(?!)")
    paths = [x for x in paths if not excluded.search("/" + x.relative_to(root).as_posix())]
    if not paths:
        raise InputError(f"source {source.name}: no file matches {' '.join(source.patterns)}")
    seen: set[str] = set()
    small: list[tuple[str, str, str]] = []
    for document in source.read(Files(root, paths)):
        blocks = tidy(document.blocks, seen) if source.filtered else literature(document.blocks)
        text = render(blocks)
        if len(text) > MAX_CHARS and source.filtered:
            parts = cut(blocks, MAX_CHARS)
            small += [(f"{document.id}#{i}", "", render(part)) for i, part in enumerate(parts, start=1)]
        elif text and (not source.filtered or is_english(text)):
            small.append((document.id, document.group, text))
    found = [
        Text(f"{source.name}/{id}", text, f"{source.name}/{id.partition('#')[0]}")
        for id, text in join_small(small, MIN_CHARS, JOINED_CHARS)
    ]
    chars, chosen = 0, set()
    for candidate in sorted(found, key=lambda x: -running_text_share(x.text)):
        if chars + len(candidate.text) <= source.max_chars:
            chars += len(candidate.text)
            chosen.add(candidate.id)
    return [x for x in found if x.id in chosen]


def running_text_share(text: str) -> float:
    """How much of a text stands in long paragraphs: a source over its limit keeps the documents with most."""
    return sum(len(x) for x in text.split("\n") if len(x) >= LONG_PARAGRAPH_CHARS) / len(text)


def is_held_out(id: str) -> bool:
    """Chooses one document in HELD_OUT_DOCUMENTS, the same ones in every run."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % HELD_OUT_DOCUMENTS == 0


def split_of(source: Source, index: int, text: Text) -> str:
    """Where the source's document number `index` (from 0) goes; of the addresses, every tenth is held out."""
    if source.split != TRAIN:
        return source.split
    if source.name == "sotu":
        return TRAIN if (index + 1) % HELD_OUT_EVERY else HELD_OUT
    return HELD_OUT if is_held_out(text.origin) else TRAIN
