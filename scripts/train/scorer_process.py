"""Runs prm-score, once, over many texts, and gives each text its row."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from program import ProgramError, ProgramRun, quoted

PROGRESS_SECONDS = 60.0


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


def score(program: Path, judge: Path, texts: Sequence[tuple[str, str]], options: ScorerOptions) -> ScorerRun:
    """Scores (id, text) pairs in one process. Memory holds all rows. Throws ProgramError."""
    with tempfile.TemporaryDirectory(prefix="evaluate-judge-") as folder:
        documents, metadata = Path(folder) / "documents.jsonl", Path(folder) / "metadata.json"
        with documents.open("w", encoding="ascii") as file:
            for name, text in texts:
                file.write(json.dumps({"id": name, "text": text}) + "\n")
        # The absolute path: `ORG/NAME` could also be a name in the hub cache.
        arguments = ["--model", str(judge.absolute()), "--spans", *options.arguments()]
        arguments += ["--metadata", str(metadata), "--progress", "none", "--log-level", "warn"]
        with documents.open("rb") as stdin, ProgramRun(program, arguments, stdin) as run:
            lines = _whole_lines(run, len(texts))
            if run.wait() not in (0, 3):
                raise run.failure(progress=f" after {len(lines)} of {len(texts)} rows")
            messages = run.messages()
        sys.stderr.write(messages)
        if len(lines) != len(texts):
            raise ProgramError(f"prm-score: expected {len(texts)} rows, got {len(lines)}{quoted(messages)}")
        rows = [_row(number, line, name) for number, (line, (name, _)) in enumerate(zip(lines, texts, strict=True), 1)]
        return ScorerRun(rows, json.loads(metadata.read_text(encoding="utf-8")))


def _whole_lines(run: ProgramRun, total: int) -> list[bytes]:
    lines: list[bytes] = []
    said = time.monotonic()
    for line in run.stdout:
        if line.endswith(b"\n"):
            lines.append(line)
        if time.monotonic() - said >= PROGRESS_SECONDS:
            said = time.monotonic()
            print(f"scored {len(lines)} of {total} versions", file=sys.stderr)
    return lines


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
        raise ProgramError(f"prm-score: row {number} is not as expected ({error}): {shown}") from error
