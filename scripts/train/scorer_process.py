"""Runs prm-score, once, over many texts, and gives each text its row."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRESS_SECONDS = 60.0


class ScorerError(Exception):
    """The program could not be run, or did not finish; its own message is in this one."""


@dataclass(frozen=True)
class Scored:
    """A row. `chars`: the code points of each chunk."""

    reward: float
    log_odds: tuple[float, ...]
    chars: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Failed:
    """A row that says why the text has no reward."""

    error: str


Row = Scored | Failed


@dataclass(frozen=True)
class ScorerOptions:
    """Options of prm-score; None = its default."""

    threads: int | None = None
    device: str | None = None
    dtype: str | None = None

    def arguments(self) -> list[str]:
        given = {"--threads": self.threads, "--device": self.device, "--dtype": self.dtype}
        return [part for name, value in given.items() if value is not None for part in (name, str(value))]


@dataclass(frozen=True)
class ScorerRun:
    """Rows in the order of the texts, and what prm-score says of itself and of the judge (`--metadata`)."""

    rows: list[Row]
    metadata: dict[str, Any]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_program(path: Path | None) -> Path:
    """The given program, else the one in build/ of the repository, else the one on the PATH."""
    if path is None:
        built = REPOSITORY / "build" / "prm-score"
        found = None if built.is_file() else shutil.which("prm-score")
        path = Path(found) if found else built
    if not path.is_file():
        raise ScorerError(f"{path}: no such program; build it with scripts/quickstart.sh, or name it with --prm-score")
    return path.absolute()


def _environment() -> dict[str, str]:
    """Without the variables that set options of prm-score: they would change the scores unseen."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PRM_SCORE_")}


def program_version(program: Path) -> str:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, errors="replace", env=_environment(), check=False
        )
    except OSError as error:
        raise ScorerError(f"{program}: cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        raise ScorerError(f"{program} --version: {_ending(done.returncode)}{_quoted(done.stderr)}")
    return done.stdout.strip()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _quoted(messages: str) -> str:
    return "\n  " + "\n  ".join(messages.strip().splitlines()) if messages.strip() else ", without a message"


def score(program: Path, judge: Path, texts: Sequence[tuple[str, str]], options: ScorerOptions) -> ScorerRun:
    """Scores (id, text) pairs in one process. Memory holds all rows."""
    with tempfile.TemporaryDirectory(prefix="evaluate-judge-") as folder:
        documents, metadata = Path(folder) / "documents.jsonl", Path(folder) / "metadata.json"
        with documents.open("w", encoding="ascii") as file:
            for name, text in texts:
                file.write(json.dumps({"id": name, "text": text}) + "\n")
        # The absolute path: `ORG/NAME` could also be a name in the hub cache.
        command = [str(program), "--model", str(judge.absolute()), "--spans", *options.arguments()]
        command += ["--metadata", str(metadata), "--progress", "none", "--log-level", "warn"]
        with documents.open("rb") as stdin, (Path(folder) / "messages").open("w+b") as stderr:
            lines, code = _run(command, stdin, stderr, len(texts))
            stderr.seek(0)
            messages = stderr.read().decode("utf-8", errors="replace")
        if code not in (0, 3):
            raise ScorerError(f"prm-score: {_ending(code)} after {len(lines)} of {len(texts)} rows{_quoted(messages)}")
        sys.stderr.write(messages)
        if len(lines) != len(texts):
            raise ScorerError(f"prm-score: expected {len(texts)} rows, got {len(lines)}{_quoted(messages)}")
        rows = [_row(number, line, name) for number, (line, (name, _)) in enumerate(zip(lines, texts, strict=True), 1)]
        return ScorerRun(rows, json.loads(metadata.read_text(encoding="utf-8")))


def _run(command: list[str], stdin: IO[bytes], stderr: IO[bytes], total: int) -> tuple[list[bytes], int]:
    """Whole rows and the exit code."""
    try:
        process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=_environment())
    except OSError as error:
        raise ScorerError(f"{command[0]}: cannot be run: {error.strerror}") from error
    lines: list[bytes] = []
    said = time.monotonic()
    try:
        assert process.stdout
        with process.stdout as stdout:
            for line in stdout:
                if line.endswith(b"\n"):
                    lines.append(line)
                if time.monotonic() - said >= PROGRESS_SECONDS:
                    said = time.monotonic()
                    print(f"scored {len(lines)} of {total} versions", file=sys.stderr)
        return lines, process.wait()
    finally:
        process.kill()  # only reached alive if something was thrown, Ctrl-C for example
        process.wait()


def _row(number: int, line: bytes, name: str) -> Row:
    try:
        row = json.loads(line)
        if row["line"] != number:
            raise ValueError(f"its line is {row['line']}")
        if row["reward"] is None:
            return Failed(str(row["error"]))
        if row["id"] != name:
            raise ValueError(f"its id is {row['id']!r}, not {name!r}")
        log_odds = tuple(float(x) for x in row["log_odds"])
        chars = tuple((int(begin), int(end)) for begin, end in (span["chars"] for span in row["spans"]))
        if not log_odds or len(log_odds) != len(chars):
            raise ValueError(f"{len(log_odds)} log_odds and {len(chars)} spans")
        return Scored(float(row["reward"]), log_odds, chars)
    except (KeyError, TypeError, ValueError) as error:
        text = line.decode("utf-8", errors="replace").strip()
        shown = text if len(text) <= 200 else text[:198] + ".."
        raise ScorerError(f"prm-score: row {number} is not as expected ({error}): {shown}") from error
