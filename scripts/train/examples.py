"""Judgement examples from files of make_data.py, a document's together, read as they are needed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from errors import InputError
from versions import DOCUMENT


@dataclass(frozen=True)
class Example:
    """`label`: 1 = chosen, 0 = rejected; `input_ids`: the whole prompt, uint32; `num_tokens`: of the chunk; `version`:
    the whole text, real or made worse, that this is a chunk of; "" for a rejected chunk behind a real beginning."""

    input_ids: np.ndarray
    num_tokens: int
    label: int
    kind: str
    version: str = ""


class ExampleFile:
    """Neighbouring lines of one `document` form a group. Only the groups' places are kept in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._groups: list[tuple[int, int]] = []  # bytes [begin, end)
        self.num_labels = [0, 0]
        self._index()

    def __len__(self) -> int:
        return len(self._groups)

    def _index(self) -> None:
        try:
            with self._path.open("rb") as lines:
                begin, position, document = 0, 0, None
                for number, line in enumerate(lines, start=1):
                    record = _record_of(line, f"{self._path}:{number}")
                    if record["document"] != document and document is not None:
                        self._groups.append((begin, position))
                        begin = position
                    document = record["document"]
                    self.num_labels[record["label"]] += 1
                    position += len(line)
        except OSError as error:
            raise InputError(f"{self._path}: {error.strerror}") from error
        if document is None:
            raise InputError(f"{self._path}: expected examples of make_data.py, found an empty file")
        self._groups.append((begin, position))

    def group(self, index: int) -> list[Example]:
        begin, end = self._groups[index]
        with self._path.open("rb") as file:
            file.seek(begin)
            lines = file.read(end - begin).splitlines()
        return [_example_of(_record_of(line, str(self._path))) for line in lines]

    def shuffled(self, rng: random.Random) -> Sequence[int]:
        return rng.sample(range(len(self._groups)), len(self._groups))

    def groups(self) -> Iterator[list[Example]]:
        return (self.group(index) for index in range(len(self)))


def _record_of(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON: {error}") from error
    for name, kind in (("document", str), ("num_tokens", int), ("label", int), ("kind", str), ("input_ids", list)):
        value = record.get(name) if isinstance(record, dict) else None
        if not isinstance(value, kind) or (kind is list and not value):
            raise InputError(f'{place}: expected an example with "{name}" ({kind.__name__}), found {line[:60]!r}')
    if record["label"] not in (0, 1):
        raise InputError(f"{place}: label: expected 0 or 1, found {record['label']}")
    return record


def _example_of(record: dict[str, Any]) -> Example:
    ids = np.array(record["input_ids"], dtype=np.uint32)
    is_whole = record.get("provenance", {}).get("scope") == DOCUMENT
    version = str(record.get("version", "")) if is_whole else ""
    return Example(ids, record["num_tokens"], record["label"], record["kind"], version)
