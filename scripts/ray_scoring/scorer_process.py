"""prm-score in a pipe: lines in, their rows out, many blocks one after the other through one process."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ray_scoring.errors import InputError

_ROW = re.compile(rb'\{"line":([0-9]+)')
_BLANKS = b" \t\r\n"
_ERROR_EXIT_CODES = range(1, 128)
_OWN_OPTIONS = ("--errors-ok", "--progress", "none", "--log-level", "warn")


class ProcessEndedError(Exception):
    """The process is not there any more, by a signal or for a reason that nobody knows: another one may do."""


@dataclass
class _Answer:
    """Rows of one block, as they come. `first_line`: of the block, by the count of the process."""

    first_line: int
    num_lines: int
    num_expected: int
    rows: list[bytes] = field(default_factory=list)
    error: Exception | None = None
    is_done: threading.Event = field(default_factory=threading.Event)


class ScorerProcess:
    """Any number of threads may score: their blocks queue up in the pipe, so that the process never waits for the end
    of one before it begins the next."""

    def __init__(self, program: str, options: Sequence[str], max_line_bytes: int) -> None:
        """`max_line_bytes`: what the options say of it. Throws InputError if the program cannot be started."""
        self._max_line_bytes = max_line_bytes
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = start(program, [*options, *_OWN_OPTIONS], self._stderr.fileno())
        self._feeding = threading.Lock()  # one block's lines are not mixed with another's
        self._answering = threading.Lock()  # guards the members below
        self._answers: deque[_Answer] = deque()
        self._error: Exception | None = None
        # A blank line: what comes next is no beginning of a file, whatever it looks like (compressed, with a mark).
        self._num_lines = 1
        with contextlib.suppress(BrokenPipeError):
            self._write(b"\n")
        threading.Thread(target=self._read, daemon=True).start()

    def score(self, lines: bytes) -> list[bytes]:
        """A row for each line that is not blank, or is too long. `line` in them counts from 1 with the first of
        `lines`. Throws InputError if prm-score has ended with a message, ProcessEndedError if it was killed."""
        answer = self._feed(lines)
        answer.is_done.wait()
        if answer.error is not None:
            raise answer.error
        return [_renumbered(row, answer) for row in answer.rows]

    def close(self) -> None:
        """Ends it. What is being scored has no rows then."""
        self._process.kill()

    @property
    def has_ended(self) -> bool:
        return self.error is not None

    @property
    def error(self) -> Exception | None:
        """Why it has ended; None while it has not."""
        with self._answering:
            return self._error

    def _feed(self, lines: bytes) -> _Answer:
        parts = lines.split(b"\n")[:-1]
        num_expected = sum(map(self._has_row, parts))
        with self._feeding:
            answer = _Answer(self._num_lines + 1, len(parts), num_expected)
            self._num_lines += len(parts)
            with self._answering:
                if self._error is not None:
                    raise self._error
                if num_expected > 0:
                    self._answers.append(answer)
                else:
                    answer.is_done.set()
            with contextlib.suppress(BrokenPipeError):  # it has ended; the thread that reads will say how
                self._write(lines)
        return answer

    def _has_row(self, line: bytes) -> bool:
        return bool(line.strip(_BLANKS)) or len(line.removesuffix(b"\r")) > self._max_line_bytes

    def _write(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout
        try:
            for row in self._process.stdout:
                if row.endswith(b"\n"):  # a torn one is of a process that was killed
                    self._take(row)
            self._end(self._how_it_ended())
        except Exception as error:  # handed to those that wait
            self._process.kill()
            self._process.wait()
            self._end(error)
        self._stderr.close()
        self._process.stdout.close()
        with self._feeding, contextlib.suppress(BrokenPipeError):
            assert self._process.stdin
            self._process.stdin.close()

    def _take(self, row: bytes) -> None:
        with self._answering:
            if not self._answers:
                raise InputError(f"prm-score: expected no more rows, found {shown(row)}")
            answer = self._answers[0]
            answer.rows.append(row)
            if len(answer.rows) == answer.num_expected:
                self._answers.popleft().is_done.set()

    def _end(self, error: Exception) -> None:
        with self._answering:
            self._error = error
            for answer in self._answers:
                answer.error = error
                answer.is_done.set()
            self._answers.clear()

    def _how_it_ended(self) -> Exception:
        code = self._process.wait()
        self._stderr.seek(0)
        messages = self._stderr.read().decode("utf-8", errors="replace")
        text = f"prm-score: {ending(code)}{quoted(messages)}"
        return InputError(text) if code in _ERROR_EXIT_CODES else ProcessEndedError(text)


def start(program: str, arguments: Sequence[str], stderr: int) -> subprocess.Popen[bytes]:
    """With pipes to and from it. Throws InputError."""
    # Variables that set options of prm-score on one machine would make its rows differ from another's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PRM_SCORE_")}
    try:
        return subprocess.Popen(
            [program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment
        )
    except OSError as error:
        raise InputError(f"{program}: cannot be run: {os.strerror(error.errno or 0)}") from error


def ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def quoted(messages: str) -> str:
    """Indented lines below an error's own."""
    return "\n  " + "\n  ".join(messages.strip().splitlines()) if messages.strip() else ", without a message"


def shown(row: bytes) -> str:
    text = row.decode("utf-8", errors="replace").strip()
    return text if len(text) <= 200 else text[:198] + ".."


def _renumbered(row: bytes, answer: _Answer) -> bytes:
    found = _ROW.match(row)
    line = int(found[1]) + 1 - answer.first_line if found else 0
    if found is None or not 1 <= line <= answer.num_lines:
        raise InputError(f"prm-score: expected a row of {answer.num_lines} lines, found {shown(row)}")
    return b'{"line":%d%s' % (line, row[found.end() :])
