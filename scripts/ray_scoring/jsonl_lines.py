"""Physical lines of a JSONL file, by the rules of prm-score (line_reader.h), so that it answers each line as it would
have in the file: bytes as they are, whatever they are."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from ray_scoring.errors import InputError

_READ_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_OTHERS = {b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip", b"PAR1": "Parquet (its name has to end so)"}


def jsonl_lines(stream: Any, name: str, max_line_bytes: int) -> Iterator[bytes]:
    """Each line, ended by a line feed. Of one that is too long just so much is kept that it still is: memory holds
    `max_line_bytes`. Throws InputError."""
    max_kept = max_line_bytes + 2  # one byte over the limit, and a CR, which does not count
    pending, is_open, is_first = bytearray(), False, True
    for data in _plain_bytes(stream, name):
        begin = 0
        while (end := data.find(b"\n", begin)) >= 0:
            pending = _grown(pending, data[begin:end], max_kept)
            yield _without_mark(pending, is_first, max_kept) + b"\n"
            pending, is_open, is_first, begin = bytearray(), False, False, end + 1
        if begin < len(data):
            pending, is_open = _grown(pending, data[begin:], max_kept), True
    if is_open:
        line = _without_mark(pending, is_first, max_kept)
        # A CR at the end of the file is part of its line: one more, for the line feed to take away.
        yield line + (b"\r\n" if line.endswith(b"\r") else b"\n")


def _grown(pending: bytearray, piece: bytes, max_kept: int) -> bytearray:
    pending += piece[: max(0, max_kept + len(_BYTE_ORDER_MARK) - len(pending))]
    return pending


def _without_mark(line: bytearray, is_first: bool, max_kept: int) -> bytes:
    begin = len(_BYTE_ORDER_MARK) if is_first and line.startswith(_BYTE_ORDER_MARK) else 0
    return bytes(line[begin : begin + max_kept])


def _plain_bytes(stream: Any, name: str) -> Iterator[bytes]:
    """The file's content, decompressed if it is compressed, by its first bytes as prm-score does."""
    first = stream.read(max(map(len, (_GZIP, _ZSTD, *_OTHERS))))
    stream.seek(0)
    for magic, found in _OTHERS.items():
        if first.startswith(magic):
            raise InputError(f"{name}: expected JSON lines, plain or compressed by gzip or zstd, found {found}")
    if first.startswith(_GZIP):
        stream = gzip.GzipFile(fileobj=stream)
    elif first.startswith(_ZSTD):
        stream = pa.CompressedInputStream(stream, "zstd")
    try:
        yield from iter(_reader(stream), b"")
    except (EOFError, zlib.error) as error:
        raise InputError(f"{name}: cannot be read: gzip: {error}") from error


def _reader(stream: Any) -> Callable[[], bytes]:
    return lambda: stream.read(_READ_BYTES)
