"""Judgement examples from files of make_data.py, a document's together, read as they are needed."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from errors import InputError
from prompt import TEMPLATE_TAIL
from tokenizers import Tokenizer
from versions import DOCUMENT, REAL, shown

MAX_ID = 2**32 - 1
NUM_CHECKED = 4
"""Examples whose ids are held against the tokenizer."""


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
    """Neighbouring lines of one `document` form a group. Only the groups' places are kept in memory.

    `num_labels`: rejected and chosen examples; `compares_texts`: a document has chunks of whole texts, both of its real
    one and of one made worse; `identity`: what tells the file from another one.
    """

    def __init__(self, path: Path) -> None:
        """Reads it once. Throws InputError if a line is no example."""
        self._path = path
        self._groups: list[tuple[int, int]] = []  # bytes [begin, end)
        self.num_labels = [0, 0]
        self.compares_texts = False
        self.identity: dict[str, int | str] = {}
        self._index()

    def __len__(self) -> int:
        return len(self._groups)

    def _index(self) -> None:
        digest = hashlib.sha256()
        try:
            with self._path.open("rb") as lines:
                begin, position, document = 0, 0, None
                whole_texts: set[bool] = set()  # of this document: is it the real one?
                for number, line in enumerate(lines, start=1):
                    place = f"{self._path}:{number}"
                    record = _record_of(line, place)
                    example = _example_of(record, place)
                    if record["document"] != document and document is not None:
                        self._groups.append((begin, position))
                        begin = position
                        whole_texts = set()
                    document = record["document"]
                    self.num_labels[example.label] += 1
                    if example.version:
                        whole_texts.add(example.kind == REAL)
                        self.compares_texts |= len(whole_texts) == 2
                    position += len(line)
                    digest.update(line)
        except OSError as error:
            raise InputError(f"{self._path}: {error.strerror}") from error
        if document is None:
            raise InputError(f"{self._path}: expected examples of make_data.py, found an empty file")
        self._groups.append((begin, position))
        self.identity = {"bytes": position, "documents": len(self), "sha256": digest.hexdigest()}

    def group(self, index: int) -> list[Example]:
        begin, end = self._groups[index]
        with self._path.open("rb") as file:
            file.seek(begin)
            lines = file.read(end - begin).splitlines()
        return [_example_of(_record_of(line, str(self._path)), str(self._path)) for line in lines]

    def check_tokenizer(self, tokenizer: Tokenizer, folder: Path) -> None:
        """Throws InputError if the first examples are not prompts in the ids of this tokenizer, that of `folder`."""
        for example in self.group(0)[:NUM_CHECKED]:
            text = tokenizer.decode(example.input_ids.tolist(), skip_special_tokens=False)
            if not text.endswith(TEMPLATE_TAIL):
                raise InputError(
                    f"{self._path}: expected prompts that end in {TEMPLATE_TAIL!r}, found {text[-60:]!r}; the data was "
                    f"made with another tokenizer than that of {folder}"
                )

    def shuffled(self, rng: random.Random) -> Sequence[int]:
        return rng.sample(range(len(self._groups)), len(self._groups))


def _record_of(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8
        raise InputError(f"{place}: not JSON: {error}") from error
    for name, kind in (("document", str), ("num_tokens", int), ("label", int), ("kind", str), ("input_ids", list)):
        value = record.get(name) if isinstance(record, dict) else None
        if not isinstance(value, kind) or (kind is list and not value):
            raise InputError(f'{place}: expected an example with "{name}" ({kind.__name__}), found {line[:60]!r}')
    if record["label"] not in (0, 1):
        raise InputError(f"{place}: label: expected 0 or 1, found {record['label']}")
    return record


def _example_of(record: dict[str, Any], place: str) -> Example:
    provenance, version = record.get("provenance", {}), record.get("version", "")
    if not isinstance(provenance, dict):
        raise InputError(f"{place}: provenance: expected an object, found {shown(provenance)}")
    if not isinstance(version, str):
        raise InputError(f"{place}: version: expected a string, found {shown(version)}")
    is_whole = provenance.get("scope") == DOCUMENT
    ids = _ids_of(record["input_ids"], place)
    return Example(ids, record["num_tokens"], record["label"], record["kind"], version if is_whole else "")


def _ids_of(values: list[Any], place: str) -> np.ndarray:
    try:
        ids = np.array(values)
    except ValueError:  # lists of several lengths
        ids = np.array([])
    if ids.ndim != 1 or ids.dtype.kind != "i" or ids.min() < 0 or ids.max() > MAX_ID:
        raise InputError(f"{place}: input_ids: expected integers of 0 to {MAX_ID}, found {shown(values)}")
    return ids.astype(np.uint32)
