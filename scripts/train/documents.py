"""Real texts from files: JSON lines, text files and folders of them; and the excerpts that examples are made of."""

from __future__ import annotations

import gzip
import json
import random
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from damage import SENTENCE_START
from errors import InputError


@dataclass(frozen=True)
class Document:
    """`id` is unique; `source` groups documents of one origin: the record's field, else its file's or folder's name."""

    id: str
    source: str
    text: str


@dataclass(frozen=True)
class Excerpt:
    """A part of a document, about `max_chunks` chunks long; `id` is the document's with the place behind it."""

    id: str
    source: str
    text: str
    max_chunks: int


def read_documents(paths: Iterable[Path], text_field: str = "text", id_field: str = "id") -> list[Document]:
    """All documents, in order. A folder gives its *.txt and *.txt.gz files, by name; such a file is one document; any
    other file is JSON lines with a text field. What begins as gzip does is unpacked, whatever its name; a byte order
    mark is no part of the text. Throws InputError.

    Texts come in Unicode's form NFC, as most tokenizers see them: code points counted in what `prm-score prompts` shows
    are those of the text.
    """
    documents: list[Document] = []
    seen: dict[str, str] = {}
    for path in paths:
        for document, place in _read(path, text_field, id_field):
            _check_unicode(document, place)
            if document.id in seen:
                raise InputError(f"{place}: id {document.id!r} stands at {seen[document.id]}, too; ids must be unique")
            seen[document.id] = place
            documents.append(document)
    if not documents:
        raise InputError(f"{', '.join(map(str, paths))}: expected at least one document with text, found none")
    return documents


def _check_unicode(document: Document, place: str) -> None:
    """Half of a character, from an escape in JSON or a file's name, can be written to no file."""
    for what, value in (("id", document.id), ("source", document.source), ("text", document.text)):
        if found := _SURROGATE.search(value):
            raise InputError(
                f"{place}: {what}: expected Unicode text, found the lone surrogate U+{ord(found.group()):04X} "
                f"at character {found.start()}"
            )


_SURROGATE = re.compile("[\ud800-\udfff]")


def _read(path: Path, text_field: str, id_field: str) -> Iterator[tuple[Document, str]]:
    if path.is_dir():
        plain = set(path.rglob("*.txt"))
        files = sorted(plain | {file for file in path.rglob("*.txt.gz") if _unpacked(file) not in plain})
        if not files:
            raise InputError(f"{path}: expected *.txt or *.txt.gz files in the folder, found none")
        for file in files:
            name = f"{path.name}/{_unpacked(file).relative_to(path).with_suffix('')}"
            yield Document(name, path.name, _text_of(file)), str(file)
    elif (unpacked := _unpacked(path)).suffix == ".txt":
        yield Document(unpacked.stem, unpacked.stem, _text_of(path)), str(path)
    else:
        yield from _read_lines(path, text_field, id_field)


def _unpacked(path: Path) -> Path:
    """Its name without .gz."""
    return path.with_suffix("") if path.suffix == ".gz" else path


_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """A file's bytes, unpacked. It is opened once: it may be a pipe."""
    try:
        with path.open("rb") as file:
            begins = file.peek(len(_ZSTD))
            if begins.startswith(_ZSTD):
                raise InputError(f"{path}: expected text, plain or gzip, found zstd; unpack it first (zstd -d)")
            if begins.startswith(_GZIP):
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield unpacked
            else:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: expected whole gzip data, found other: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _decoded(data: bytes, place: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"the byte 0x{data[error.start]:02x} at {error.start}"
        raise InputError(f"{place}: expected UTF-8, found {found}") from error


def _text_of(path: Path) -> str:
    with _opened(path) as file:
        text = _decoded(file.read(), str(path)).removeprefix(_BYTE_ORDER_MARK)
    return _normalized(text.replace("\r\n", "\n").replace("\r", "\n"))


_BYTE_ORDER_MARK = "\ufeff"


def _normalized(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


def _read_lines(path: Path, text_field: str, id_field: str) -> Iterator[tuple[Document, str]]:
    source = _unpacked(path).stem
    with _opened(path) as lines:
        for number, data in enumerate(lines, start=1):
            place = f"{path}:{number}"
            line = _decoded(data, place)
            if number == 1:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if line.strip():
                yield _document_of(line, place, f"{source}/{number}", source, (text_field, id_field)), place


def _document_of(line: str, place: str, default_id: str, default_source: str, fields: tuple[str, str]) -> Document:
    text_field, id_field = fields
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not JSON: {error}") from error
    text = record.get(text_field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise InputError(f'{place}: expected an object with a string in "{text_field}", found {line.strip()[:60]!r}')
    name, source = str(record.get(id_field, default_id)), str(record.get("source", default_source))
    return Document(name, source, _normalized(text))


@dataclass(frozen=True)
class ExcerptLengths:
    """Chunks of an excerpt: uniform between the two; with `long_share` between `max_chunks` and `long_chunks`."""

    min_chunks: int
    max_chunks: int
    long_share: float
    long_chunks: int


def pick_excerpts(
    documents: Sequence[Document], count: int | None, lengths: ExcerptLengths, chars_per_chunk: float, seed: int
) -> list[Excerpt]:
    """`count` excerpts in random order (None: one from the beginning of each document, in order).

    The places where excerpts are looked for lie apart by the length of one, and each begins at the next sentence before
    the following place, so that short excerpts hardly overlap. Where documents are few, count is the number that there
    are places for.
    """
    rng = random.Random(f"{seed}/excerpts")
    step = int(lengths.max_chunks * chars_per_chunk)
    if count is None:
        places = [(document, 0) for document in documents]
    else:
        places = [(d, begin) for d in documents for begin in range(0, max(1, len(d.text) - step // 4), step)]
        rng.shuffle(places)
        places = places[:count]
    excerpts = [_excerpt(document, begin, step, _draw_length(rng, lengths)) for document, begin in places]
    # Two of one document could begin at the same sentence; another document's id could look like an excerpt's.
    unique: dict[str, Excerpt] = {}
    for excerpt in excerpts:
        unique.setdefault(excerpt.id, excerpt)
    return list(unique.values())


def _draw_length(rng: random.Random, lengths: ExcerptLengths) -> int:
    if rng.random() < lengths.long_share:
        return rng.randint(lengths.max_chunks, lengths.long_chunks)
    return rng.randint(lengths.min_chunks, lengths.max_chunks)


_MOST_CHARS_PER_CHUNK = 8 * 64
"""More than ordinary text has, so that an excerpt rarely ends before its chunks do."""


def _excerpt(document: Document, begin: int, step: int, max_chunks: int) -> Excerpt:
    """At the first sentence between `begin` and the next place, `step` further on; at `begin` if none starts there."""
    if begin > 0 and (match := SENTENCE_START.search(document.text, begin, begin + step)):
        begin = match.end()
    text = document.text[begin : begin + max_chunks * _MOST_CHARS_PER_CHUNK]
    name = document.id if begin == 0 else f"{document.id}@{begin}"
    return Excerpt(name, document.source, text, max_chunks)
