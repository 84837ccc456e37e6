"""Parts of the output as blocks are finished, and in the end --output itself. All of it is done by the driver.

  --output rewards.jsonl   rewards.jsonl.parts/manifest.json, part-00000-0000000.jsonl, ..; in the end joined to
                           rewards.jsonl, and the manifest alone stays
  --output rewards/        rewards/_manifest.json, part-00000-0000000.jsonl (or .parquet), ..; in the end _SUCCESS

A part's two numbers are those of its file and of the block in it: by their names parts are in the order of the input.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ray_scoring import storage
from ray_scoring.errors import InputError
from ray_scoring.manifest import (
    FinishedBlock,
    Manifest,
    RunIdentity,
    read_manifest,
    why_not_resumed,
    write_manifest,
)
from ray_scoring.rows import SCHEMA, table_of
from ray_scoring.storage import Place

_SECONDS_BETWEEN_MANIFESTS = 2.0
_WORK_PER_MANIFEST = 20.0
"""The next one is not written before this many times the last one's duration."""
_SUCCESS = "_SUCCESS"


class OutputKind(NamedTuple):
    """`is_folder`: parts stay parts. `format`: "jsonl" or "parquet"."""

    is_folder: bool
    format: str

    def __str__(self) -> str:
        return f"{'folder' if self.is_folder else 'file'}, {self.format}"


@dataclass(frozen=True)
class OutputOptions:
    target: Place
    kind: OutputKind
    resume: bool
    overwrite: bool


class Output:
    """Where rows go. Used by one thread."""

    def __init__(self, options: OutputOptions) -> None:
        """Looks only; changes nothing. Throws InputError if something is in the way."""
        self._target, self._kind = options.target, options.kind
        self._folder = options.target if options.kind.is_folder else options.target.beside(".parts")
        self._manifest_place = self._folder.inside("_manifest.json" if options.kind.is_folder else "manifest.json")
        self._options = options
        self._lock: int | None = None
        self._is_open = self._is_resumed = False
        self._written_at, self._write_seconds = 0.0, 0.0
        if not options.resume and not options.overwrite:
            self._expect_nothing_there()

    def begin(self, identity: RunIdentity) -> Manifest:
        """The manifest to go on with, perhaps a complete one. Throws InputError if the earlier run was another."""
        self.manifest = Manifest(identity)
        if self._options.resume and storage.exists(self._manifest_place):
            self.manifest, self._is_resumed = self._resumed(identity), True
        elif self._options.resume:
            for there in self._in_the_way():
                raise InputError(f"{there.name}: --resume: {self._manifest_place.name}: no such file")
        return self.manifest

    def open(self) -> list[str]:
        """Makes place, or drops what an interrupted run left half done. Names of the parts that are not what was
        written: their blocks are no longer in the manifest, and are to be scored again. Throws InputError."""
        storage.make_folder(self._folder)
        self._take_lock()
        try:
            if self._options.overwrite:
                self._clear()
            else:
                self._expect_no_other_run()
            if _SUCCESS in storage.names_in(self._folder):
                self._remove([_SUCCESS])
            damaged = self._drop_damaged_blocks()
            self._drop_unknown_parts()
            self._write_manifest()
        except BaseException:
            self._drop_lock()
            raise
        self._is_open = True
        return damaged

    def add(self, block: FinishedBlock, rows: bytes) -> None:
        """Throws InputError."""
        if (block.file, block.number) in self.manifest.blocks:
            return  # its rows were computed twice, after something died; they are the same
        part = self._part_of(rows)
        storage.write(self._part(block), part)
        self.manifest.add(block._replace(part_sha256=hashlib.sha256(part).hexdigest()))
        if time.monotonic() - self._written_at >= max(
            _SECONDS_BETWEEN_MANIFESTS, _WORK_PER_MANIFEST * self._write_seconds
        ):
            self._write_manifest()

    def foreign_names(self) -> list[str]:
        """Of an output folder's files, those that no run wrote: a reader of the folder may take them for parts."""
        if not self._kind.is_folder:
            return []
        ours = {self._manifest_place.path.rsplit("/", 1)[-1], _SUCCESS, *self._part_names()}
        return [
            name for name in storage.names_in(self._folder) if name not in ours and not name.endswith(storage.ASIDE)
        ]

    def finish(self) -> None:
        """All blocks are there. Throws InputError."""
        missing = self.manifest.unfinished_files()
        if missing:
            raise InputError(f"{self.manifest.identity.inputs[missing[0]][0]}: blocks are missing; --resume goes on")
        self._write_manifest()
        if self._kind.is_folder:
            storage.write(self._folder.inside(_SUCCESS), b"")
        else:
            self._join()
            self.manifest.output_sha256 = storage.sha256_of(self._target)
        self.manifest.is_complete = True
        self._write_manifest()
        if not self._kind.is_folder:
            self._remove(self._part_names())
        self._is_open = False
        self._drop_lock()

    def remove_parts_of_the_whole(self) -> None:
        """That a kill has left behind beside a complete file. Throws InputError."""
        if not self._kind.is_folder and self.manifest.is_complete:
            self._remove(self._part_names())

    def close(self) -> None:
        """Rows are missing; what is there can be resumed."""
        if self._is_open:
            self._write_manifest()
        self._drop_lock()

    def _expect_nothing_there(self) -> None:
        for there in self._in_the_way():
            raise InputError(f"{there.name}: already there; give --resume to go on, --overwrite to begin anew")

    def _expect_no_other_run(self) -> None:
        """That has come to its end after this one had looked."""
        if not self._is_resumed:
            self._expect_nothing_there()
        elif self._resumed(self.manifest.identity) != self.manifest:
            raise InputError(f"{self._manifest_place.name}: another run has written there meanwhile")

    def _in_the_way(self) -> Iterator[Place]:
        if self._kind.is_folder and storage.exists(self._target) and not storage.is_folder(self._target):
            raise InputError(f"{self._target.name}: expected a folder, found a file")
        if not self._kind.is_folder and storage.exists(self._target):
            yield self._target
        for name in storage.names_in(self._folder):
            if not name.endswith(storage.ASIDE):
                yield self._folder.inside(name)

    def _resumed(self, identity: RunIdentity) -> Manifest:
        there = read_manifest(self._manifest_place)
        if different := why_not_resumed(there, identity):
            raise InputError(f"{self._manifest_place.name}: --resume: another run: {different}")
        if there.is_complete:
            there.is_complete = self._is_still_complete(there)
        return there

    def _is_still_complete(self, there: Manifest) -> bool:
        """A folder's parts can be made again one by one; a file cannot: throws InputError."""
        if not storage.exists(self._target):
            raise InputError(f"{self._target.name}: was complete, but is not there; --overwrite begins anew")
        if self._kind.is_folder:
            return _SUCCESS in storage.names_in(self._folder) and not self._damaged_blocks(there)
        if storage.sha256_of(self._target) != there.output_sha256:
            raise InputError(
                f"{self._target.name}: was complete, but is not what was written there (sha256); --overwrite begins "
                "anew"
            )
        return True

    def _name_of_part(self, block: FinishedBlock) -> str:
        ending = self._kind.format if self._kind.is_folder else "jsonl"
        return f"part-{block.file:05}-{block.number:07}.{ending}"

    def _part(self, block: FinishedBlock) -> Place:
        return self._folder.inside(self._name_of_part(block))

    def _part_names(self) -> list[str]:
        return [name for name in storage.names_in(self._folder) if name.startswith("part-")]

    def _part_of(self, rows: bytes) -> bytes:
        if not (self._kind.is_folder and self._kind.format == "parquet"):
            return rows
        buffer = pa.BufferOutputStream()
        pq.write_table(table_of(rows), buffer)
        return bytes(buffer.getvalue().to_pybytes())

    @staticmethod
    def _is_whole(block: FinishedBlock, part: bytes) -> bool:
        return hashlib.sha256(part).hexdigest() == block.part_sha256

    def _read_part(self, block: FinishedBlock) -> bytes:
        """Throws InputError, also if it is not what was written."""
        place = self._part(block)
        part = storage.read(place)
        if not self._is_whole(block, part):
            raise InputError(f"{place.name}: is not what was written there (sha256); --resume scores it again")
        return part

    def _write_manifest(self) -> None:
        start = time.monotonic()
        write_manifest(self._manifest_place, self.manifest)
        self._written_at = time.monotonic()
        self._write_seconds = self._written_at - start

    def _join(self) -> None:
        """Throws InputError."""
        blocks = [block for _, block in sorted(self.manifest.blocks.items())]
        with storage.writing(self._target, aside=".partial") as stream:
            if self._kind.format == "parquet":
                with pq.ParquetWriter(stream, SCHEMA) as writer:
                    for block in blocks:
                        writer.write_table(table_of(self._read_part(block)))
            else:
                for block in blocks:
                    stream.write(self._read_part(block))

    def _clear(self) -> None:
        """First what says that all is there."""
        there = storage.names_in(self._folder)
        names = [name for name in ("_manifest.json", "manifest.json", _SUCCESS) if name in there]
        self._remove(names + self._part_names())
        if not self._kind.is_folder and storage.exists(self._target):
            storage.remove(self._target)

    def _damaged_blocks(self, manifest: Manifest) -> list[FinishedBlock]:
        """Whose part is not there, or not what was written. Throws InputError if one is there and cannot be read."""
        names = set(self._part_names())
        return [
            block
            for _, block in sorted(manifest.blocks.items())
            if self._name_of_part(block) not in names or not self._is_whole(block, storage.read(self._part(block)))
        ]

    def _drop_damaged_blocks(self) -> list[str]:
        damaged = self._damaged_blocks(self.manifest)
        for block in damaged:
            self.manifest.remove(block)
        return [self._part(block).name for block in damaged]

    def _drop_unknown_parts(self) -> None:
        """Parts that the manifest does not know yet are made again; a reader of a folder shall not see them before."""
        known = {self._name_of_part(block) for block in self.manifest.blocks.values()}
        self._remove([name for name in self._part_names() if name not in known])

    def _remove(self, names: list[str]) -> None:
        storage.remove_files(self._folder, names)

    def _take_lock(self) -> None:
        """Against a second run with the same --output on this machine. Object stores have nothing of the kind."""
        if not self._folder.is_local:
            return
        self._lock = os.open(self._folder.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._drop_lock()
            raise InputError(f"{self._folder.name}: another run is writing there") from error

    def _drop_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
