"""What runs on the cluster's workers: reading blocks, and actors that score them.

What goes through Ray Data is tables of one row: a block, later with its rows; or `error` alone, why there is none.
(An exception would reach the driver as pages of traceback.)
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_scoring.blocks import BlockOptions, InputFile, read_blocks
from ray_scoring.errors import InputError
from ray_scoring.fingerprint import Fingerprint, differences, take_fingerprint
from ray_scoring.rows import is_bad, json_of_name, placed
from ray_scoring.scorer_process import ProcessEndedError, ScorerProcess

MOST_DEATHS = 3
"""Of processes that score one block, all but the first one with nothing else in the pipe."""


@dataclass(frozen=True)
class ScorerCommand:
    """`program`: a path, or a name on the PATH of the workers."""

    program: str
    options: tuple[str, ...]


def read_unfinished(table: pa.Table, files: Sequence[InputFile], options: BlockOptions) -> Iterator[pa.Table]:
    """Blocks that are not finished yet. `table`: `file`, an index, and `finished`, numbers of blocks."""
    for wanted in table.to_pylist():
        index, finished = wanted["file"], set(wanted["finished"])
        try:
            for block in read_blocks(index, files[index], options):
                if block.number not in finished:
                    yield _table(dict(vars(block)))
        except InputError as error:
            yield _table({"error": str(error)})


def changed_blocks(index: int, file: InputFile, options: BlockOptions, finished: dict[int, str]) -> str:
    """Whether the lines of finished blocks are still the same: what is not, or empty."""
    left = dict(finished)
    for block in read_blocks(index, file, options):
        if left.pop(block.number, block.sha256) != block.sha256:
            end = block.first_line + block.num_lines - 1
            return f"{file.name}: lines {block.first_line} to {end} are not those of the earlier run"
        if not left:
            break
    return f"{file.name}: is shorter than in the earlier run" if left else ""


class _PipeAccess:
    """For any number of threads, or for one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._num_inside, self._is_alone = 0, False

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone)
            self._num_inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._num_inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_alone)
            self._is_alone = True
            self._changed.wait_for(lambda: self._num_inside == 0)
        try:
            yield
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()


class BlockScorer:
    """An actor: one process of prm-score, in whose pipe several blocks may queue (one per thread of the actor)."""

    def __init__(self, command: ScorerCommand, expected: Fingerprint, names: Sequence[str]) -> None:
        """`names`: of all files; rows say theirs if there are several."""
        self._command, self._expected, self._names = command, expected, names
        self._pipe = _PipeAccess()
        self._starting = threading.Lock()
        self._process: ScorerProcess | None = None
        self._deaths: list[str] = []

    def __call__(self, table: pa.Table) -> pa.Table:
        (block,) = table.to_pylist()
        if "error" in block:
            return table
        try:
            return _table(self._scored(block))
        except InputError as error:
            return _table({"error": str(error)})

    def _scored(self, block: dict[str, Any]) -> dict[str, Any]:
        file_json = json_of_name(self._names[block["file"]]) if len(self._names) > 1 else b""
        rows = [placed(row, block["first_line"], file_json) for row in self._score(block)]
        del block["data"]
        counts = {"num_rows": len(rows), "num_bad": sum(map(is_bad, rows))}
        return {**block, **counts, "rows": b"".join(rows), "deaths": self._take_deaths()}

    def _score(self, block: dict[str, Any]) -> list[bytes]:
        """A process that dies is replaced."""
        try:
            with self._pipe.shared():
                return self._try(block)
        except ProcessEndedError:
            return self._score_alone(block)

    def _score_alone(self, block: dict[str, Any]) -> list[bytes]:
        """With no other block in the pipe, what kills the process is taken for the block's fault."""
        with self._pipe.alone():
            for death in range(1, MOST_DEATHS):
                try:
                    return self._try(block)
                except ProcessEndedError as error:
                    last, num_deaths = error, death + 1
        place = f"{self._names[block['file']]}: lines {block['first_line']} to {_last_line(block)}"
        raise InputError(f"{place}: ended {num_deaths} processes, the last one so: {last}")

    def _try(self, block: dict[str, Any]) -> list[bytes]:
        """Errors say where."""
        try:
            return self._running().score(block["data"])
        except (InputError, ProcessEndedError) as error:
            raise type(error)(f"{socket.gethostname()}: {error}") from error

    def _take_deaths(self) -> str:
        """A line for each process that was replaced since the last call, whether it had a block or not."""
        with self._starting:
            deaths, self._deaths = self._deaths, []
        return "\n".join(deaths)

    def _running(self) -> ScorerProcess:
        with self._starting:
            if self._process is None or self._process.has_ended:
                if self._process is not None:
                    self._deaths.append(f"{socket.gethostname()}: {str(self._process.error).splitlines()[0]}")
                max_line_bytes = self._expected.rows["--max-line-bytes"]
                self._process = ScorerProcess(self._command.program, self._command.options, max_line_bytes)
                self._check_fingerprint()  # while it loads its model
            return self._process

    def _check_fingerprint(self) -> None:
        """This machine may not have been there when the run began, or have got other files meanwhile."""
        assert self._process is not None
        found = take_fingerprint(self._command.program, self._command.options)
        if different := differences(self._expected.rows, found.rows, ("at the start", "now")):
            self._process.close()
            raise InputError(different)


def _last_line(block: dict[str, Any]) -> int:
    return block["first_line"] + block["num_lines"] - 1


def _table(row: dict[str, Any]) -> pa.Table:
    """Bytes may be more than the 2 GB that Arrow's usual type holds."""
    types = {bytes: pa.large_binary(), str: pa.large_string(), bool: pa.bool_(), int: pa.int64()}
    plain = {name: _valid(value) if isinstance(value, str) else value for name, value in row.items()}
    return pa.table({name: pa.array([value], types[type(value)]) for name, value in plain.items()})


def _valid(text: str) -> str:
    """Names of files may hold what is no UTF-8."""
    return text.encode("utf-8", "replace").decode()
