"""Held-out versions of documents, as make_data.py writes them: read, checked, and their chunks labelled."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

REAL = "real"
DOCUMENT, CHUNK = "document", "chunk"

Range = tuple[int, int]
Label = Literal["chosen", "rejected"]


class InputError(Exception):
    """Something given is not as it should be; the message says where, what was expected and what was found."""


@dataclass(frozen=True)
class Version:
    """One line. The ranges are half-open, of code points; merged, so they are in order and apart from each other."""

    place: str
    id: str
    document: str
    source: str
    kind: str
    scope: str
    strength: float | None
    temperature: float | None
    text: str
    chosen: tuple[Range, ...]
    rejected: tuple[Range, ...]

    def label(self, chunk: Range) -> Label | None:
        """`rejected`: at least half of the chunk was made worse; `chosen`: it is wholly real, and nothing was."""
        length = chunk[1] - chunk[0]
        if length <= 0:
            return None
        worse = overlap(chunk, self.rejected)
        if 2 * worse >= length:
            return "rejected"
        return "chosen" if not worse and overlap(chunk, self.chosen) == length else None


def overlap(chunk: Range, ranges: Sequence[Range]) -> int:
    """Code points of the chunk in the ranges, which are merged: there can be hundreds, and of chunks, too."""
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


def _found(value: Any) -> str:
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
            raise InputError(f'{self._place}: field "{name}": expected {expected}, found {_found(value)}')
        return value

    def string(self, name: str) -> str:
        return str(self._get(name, "a string", lambda v: isinstance(v, str)))

    def name(self, name: str) -> str:
        """A string that can be part of a metric's name."""
        return str(
            self._get(
                name, 'a string, not empty, without "/"', lambda v: isinstance(v, str) and v != "" and "/" not in v
            )
        )

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


def _version(place: str, line: bytes) -> Version:
    try:
        fields = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{place}: expected UTF-8, found the byte 0x{line[error.start]:02x} at {error.start}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: expected JSON, found something else: {error}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{place}: expected a JSON object, found {_found(fields)}")
    record = _Record(place, fields)
    text = record.string("text")
    kind = record.name("kind")
    if kind == "overall":
        raise InputError(
            f'{place}: field "kind": expected a kind of damage, found "overall", which stands for all kinds'
        )
    return Version(
        place=place,
        id=record.string("id"),
        document=record.string("document"),
        source=record.name("source"),
        kind=kind,
        scope=record.one_of("scope", (DOCUMENT, CHUNK)),
        strength=record.number("strength", "a number of 0 to 1", 0, 1),
        temperature=record.number("temperature", "a number of 0 to 100", 0, 100),
        text=text,
        chosen=record.ranges("chosen", len(text)),
        rejected=record.ranges("rejected", len(text)),
    )


def _numbered_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", line
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def read_versions(path: Path) -> list[Version]:
    """All versions of a file; every document with a damaged version as a whole has exactly one real version."""
    versions: list[Version] = []
    seen: dict[str, str] = {}
    real: dict[str, str] = {}
    for place, line in _numbered_lines(path):
        version = _version(place, line)
        if version.id in seen:
            raise InputError(
                f'{place}: field "id": expected one of its own, found "{version.id}" of {seen[version.id]}'
            )
        seen[version.id] = place
        if version.kind == REAL and version.scope == DOCUMENT:
            if version.document in real:
                raise InputError(
                    f'{place}: document "{version.document}": expected one real version, found a second one, '
                    f"the first is {real[version.document]}"
                )
            real[version.document] = place
        versions.append(version)
    if not versions:
        raise InputError(f"{path}: expected versions of documents, found no line")
    for version in versions:
        if version.scope == DOCUMENT and version.document not in real:
            raise InputError(
                f'{version.place}: document "{version.document}": expected a real version (kind "real", scope '
                f'"document") in the same file, found only damaged ones'
            )
    return versions
