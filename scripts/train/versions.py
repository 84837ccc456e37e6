"""Versions of a text, real and made worse, and what a chunk of one is worth as an example.

One JSON object a line, the versions of one text behind one another, the real one last:

    {"id", "document", "source", "kind", "scope", "strength", "temperature", "text", "chosen", "rejected", "provenance"}

`chosen` and `rejected` are half-open code-point ranges of `text`: what is real there, and what was made worse. Text in
neither (a prefix that another version shows already) is only context. `scope`: "document" = made worse from end to end,
to compare with the real version; "chunk" = a real beginning and one rejected chunk.
"""

from __future__ import annotations

import json
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

from errors import InputError

REAL, SAMPLED, TRANSLATION = "real", "sampled", "translation"
DOCUMENT, CHUNK = "document", "chunk"
CUT_CHARACTER = 2
"""Code points that the ends of a chunk may be off by, together, where a border cuts a character."""

Range = tuple[int, int]


class Label(IntEnum):
    """What a chunk is an example of; as in examples.jsonl."""

    REJECTED = 0
    CHOSEN = 1


@dataclass(frozen=True)
class Version:
    """One line. The ranges are in order and apart from each other."""

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

    def label(self, chunk: Range) -> Label | None:
        """Of the chunk with these code points: rejected if at least half of it was made worse; chosen if none of it
        was, and it is real but for `CUT_CHARACTER` code points; else None: it is no example."""
        length = chunk[1] - chunk[0]
        if length <= 0:
            return None
        worse = overlap(chunk, self.rejected)
        if 2 * worse >= length:
            return Label.REJECTED
        is_real = overlap(chunk, self.chosen) >= max(1, length - CUT_CHARACTER)
        return Label.CHOSEN if is_real and not worse else None


def in_nfc(version: Version) -> Version:
    """The version with its text in Unicode's form NFC, as `prm-score prompts` shows it, and its ranges moved along.

    Where a text in NFC was changed, a letter may meet an accent that it forms one code point with.
    """
    text = version.text
    if unicodedata.is_normalized("NFC", text):
        return version

    def moved(ranges: Sequence[Range]) -> tuple[Range, ...]:
        return merged([(normal_length(begin), normal_length(end)) for begin, end in ranges])

    def normal_length(end: int) -> int:
        return len(unicodedata.normalize("NFC", text[:end]))

    return replace(
        version,
        text=unicodedata.normalize("NFC", text),
        chosen=moved(version.chosen),
        rejected=moved(version.rejected),
    )


def overlap(chunk: Range, ranges: Sequence[Range]) -> int:
    """Code points of the chunk in the ranges. A text can have hundreds of both: those before the chunk are skipped."""
    total = 0
    for begin, end in ranges[bisect_right(ranges, chunk[0], key=lambda r: r[1]) :]:
        if begin >= chunk[1]:
            break
        total += min(chunk[1], end) - max(chunk[0], begin)
    return total


def merged(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """The same code points in as few ranges as possible, in order."""
    result: list[Range] = []
    for begin, end in sorted(r for r in ranges if r[0] < r[1]):
        if result and begin <= result[-1][1]:
            result[-1] = result[-1][0], max(end, result[-1][1])
        else:
            result.append((begin, end))
    return tuple(result)


def shown(value: Any) -> str:
    """A JSON value in an error message."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


class _Record:
    """The fields of a line, each checked when it is asked for."""

    def __init__(self, place: str, fields: dict[str, Any]) -> None:
        self._place = place
        self._fields = fields

    def _get(self, name: str, expected: str, holds: Callable[[Any], bool]) -> Any:
        if name not in self._fields:
            raise InputError(f'{self._place}: field "{name}": expected {expected}, found no such field')
        value = self._fields[name]
        if not holds(value):
            raise InputError(f'{self._place}: field "{name}": expected {expected}, found {shown(value)}')
        return value

    def string(self, name: str) -> str:
        return str(self._get(name, "a string", lambda v: isinstance(v, str)))

    def one_of(self, name: str, values: Sequence[str]) -> str:
        return str(self._get(name, " or ".join(f'"{v}"' for v in values), lambda v: isinstance(v, str) and v in values))

    def number(self, name: str, expected: str, low: float, high: float) -> float | None:
        def holds(value: Any) -> bool:
            return value is None or (
                isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
            )

        value = self._get(name, f"{expected} or null", holds)
        return None if value is None else float(value)

    def ranges(self, name: str, length: int) -> tuple[Range, ...]:
        def is_range(value: Any) -> bool:
            return (
                isinstance(value, list)
                and len(value) == 2
                and all(isinstance(x, int) and not isinstance(x, bool) for x in value)
                and 0 <= value[0] <= value[1] <= length
            )

        expected = f"a list of [begin, end] with 0 <= begin <= end <= {length}, the code points of the text"
        value = self._get(name, expected, lambda v: isinstance(v, list) and all(map(is_range, v)))
        return merged([(begin, end) for begin, end in value])

    def object_or_none(self, name: str) -> dict[str, Any]:
        """Empty if there is no such field."""
        if name not in self._fields:
            return {}
        return dict(self._get(name, "an object", lambda v: isinstance(v, dict)))


def version_of(line: bytes, place: str) -> Version:
    """Throws InputError, which names the place."""
    try:
        fields = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        found = f"the byte 0x{line[error.start]:02x} at {error.start}"
        raise InputError(f"{place}: expected UTF-8, found {found}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: expected JSON, found something else: {error}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{place}: expected a JSON object, found {shown(fields)}")
    record = _Record(place, fields)
    text = record.string("text")
    return Version(
        id=record.string("id"),
        document=record.string("document"),
        source=record.string("source"),
        kind=record.string("kind"),
        scope=record.one_of("scope", (DOCUMENT, CHUNK)),
        text=text,
        strength=record.number("strength", "a number of 0 to 1", 0, 1),
        temperature=record.number("temperature", "a number of 0 to 100", 0, 100),
        chosen=record.ranges("chosen", len(text)),
        rejected=record.ranges("rejected", len(text)),
        provenance=record.object_or_none("provenance"),
    )


def read_with_places(path: Path) -> Iterator[tuple[str, Version]]:
    """("FILE:LINE", version) of each line, one after another: memory holds the ids only. Throws InputError."""
    seen: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                place = f"{path}:{number}"
                version = version_of(line, place)
                if version.id in seen:
                    found = f'"{version.id}" of {path}:{seen[version.id]}'
                    raise InputError(f'{place}: field "id": expected one of its own, found {found}')
                seen[version.id] = number
                yield place, version
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def read_versions(path: Path) -> Iterator[Version]:
    """As `read_with_places`, without the places."""
    return (version for _, version in read_with_places(path))
