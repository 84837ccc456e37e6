"""Cuts the input into blocks: some lines of one file, as prm-score is to read them. What is scored, retried, skipped
when resuming, and written as one part.

A block of the same file is the same whenever it is read: its borders depend on the file's content and on BlockOptions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ray_scoring.jsonl_lines import jsonl_lines
from ray_scoring.parquet_lines import Columns, parquet_lines
from ray_scoring.storage import Place, reading


@dataclass(frozen=True)
class BlockOptions:
    """`num_bytes`: a block ends with the line that reaches them. `max_line_bytes`: of prm-score. `columns`: of Parquet
    files."""

    num_bytes: int
    max_line_bytes: int
    columns: Columns


@dataclass(frozen=True)
class InputFile:
    """`name`: as the user gave it. `size`: in bytes, as it lies there."""

    name: str
    size: int
    place: Place

    @property
    def is_parquet(self) -> bool:
        return self.name.endswith(".parquet")


@dataclass
class Block:
    """`data`: its lines, each with its line feed. `first_line`: 1-based in the file. `file`, `number`: 0-based.
    `is_last`: of the file, which has at least one block, perhaps of no lines. `num_bytes`: of the file as it lies
    there, about."""

    file: int
    number: int
    first_line: int
    data: bytes = b""
    num_lines: int = 0
    is_last: bool = False
    sha256: str = ""
    num_bytes: int = 0

    def sealed(self, data: bytearray, is_last: bool) -> Block:
        self.data, self.is_last = bytes(data), is_last
        self.sha256 = hashlib.sha256(self.data).hexdigest()
        return self


def read_blocks(index: int, file: InputFile, options: BlockOptions) -> Iterator[Block]:
    """All blocks of a file. Memory: two blocks. Throws InputError."""
    block, data, num_read = Block(index, 0, 1), bytearray(), 0
    with reading(file.place) as stream:
        for line, position in _lines(stream, file, options):
            if len(data) >= options.num_bytes:  # there is a line behind it, so it is not the last
                yield block.sealed(data, is_last=False)
                num_read += block.num_bytes
                block = Block(index, block.number + 1, block.first_line + block.num_lines)
                data = bytearray()
            data += line
            block.num_lines += 1
            block.num_bytes = position - num_read
    yield block.sealed(data, is_last=True)


def _lines(stream: Any, file: InputFile, options: BlockOptions) -> Iterator[tuple[bytes, int]]:
    """With how much of the file has been read, about."""
    if file.is_parquet:
        yield from parquet_lines(stream, file.name, options.columns)
    else:
        num_bytes = 0
        for line in jsonl_lines(stream, file.name, options.max_line_bytes):
            num_bytes += len(line)
            # Of a compressed file it is the second; at its end the decompressor closes it.
            yield line, min(num_bytes, file.size if stream.closed else stream.tell())
