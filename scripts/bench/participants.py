"""Who takes part in the rounds: prm-score fed through a pipe, and each rival's worker; both with one interface."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.child import Child, Ending
from bench.errors import RivalError
from bench.rivals import RivalKind

SCRIPTS = Path(__file__).resolve().parents[1]
FIRST_ROW_SECONDS = 600
SETTLE_SECONDS = 0.3
"""Threads of the one whose turn it was wait for work for a moment, turning idly, before they sleep."""
Json = dict[str, Any]


@dataclass(frozen=True)
class Machine:
    """What every participant computes on."""

    device: str
    threads: int

    def environment(self) -> dict[str, str]:
        # Variables that set options of prm-score would change what it does unseen.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PRM_SCORE_")}
        number = str(self.threads)
        kept |= {"OMP_NUM_THREADS": number, "MKL_NUM_THREADS": number, "OPENBLAS_NUM_THREADS": number}
        kept |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(SCRIPTS)}
        if self.device == "cpu":
            kept["CUDA_VISIBLE_DEVICES"] = ""
        return kept


@dataclass(frozen=True)
class Checkpoint:
    name: str
    folder: Path
    label_ids: tuple[int, int]


@dataclass(frozen=True)
class Input:
    """Documents in both forms: as prm-score reads them, and as prompts for the rivals."""

    documents: Path
    prompts: Path
    count: int

    def first(self, count: int) -> Input:
        return Input(self.documents, self.prompts, count)


@dataclass(frozen=True)
class Scored:
    seconds: float
    log_odds: list[list[float]]


class Participant(Protocol):
    def score(self, documents: Input, deadline: float) -> Scored:
        """Throws RivalError."""

    def finish(self) -> Ending: ...

    def kill(self) -> None: ...


class PrmScore:
    """One process for all rounds: it answers what is there when its input pauses."""

    def __init__(self, program: Path, checkpoint: Path, dtype: str, machine: Machine, log: Path):
        command: list[str | Path] = [program, "--model", checkpoint, "--dtype", dtype, "--device", machine.device]
        command += ["--threads", str(machine.threads), "--progress", "none", "--log-level", "warn"]
        self._child = Child("prm-score", command, machine.environment(), log)

    def score(self, documents: Input, deadline: float) -> Scored:
        lines = documents.documents.read_bytes().splitlines()[: documents.count]
        time.sleep(SETTLE_SECONDS)
        start = time.perf_counter()
        rows = self.rows_of(lines, deadline)
        return Scored(time.perf_counter() - start, [_log_odds(row) for row in rows])

    def rows_of(self, lines: Sequence[bytes], deadline: float) -> list[bytes]:
        self._child.send(lines)
        return [self._child.receive(deadline) for _ in lines]

    def finish(self) -> Ending:
        return self._child.finish()

    def kill(self) -> None:
        self._child.kill()


def _log_odds(line: bytes) -> list[float]:
    row = json.loads(line)
    if row.get("reward") is None or None in row["log_odds"]:
        raise RivalError(f"prm-score: row: expected log_odds, found {row.get('error', row)}")
    return row["log_odds"]


@dataclass(frozen=True)
class WorkerSetting:
    """What a rival's worker is started with."""

    kind: RivalKind
    python: Path
    dtype: str
    converted: Path
    longest_prompt: int


class WorkerRival:
    """Throws RivalError if it cannot load the model until the deadline."""

    def __init__(self, setting: WorkerSetting, checkpoint: Checkpoint, machine: Machine, log: Path, deadline: float):
        command: list[str | Path] = [setting.python, "-m", "bench.worker", setting.kind.name]
        self._child = Child(setting.kind.name, command, machine.environment(), log)
        try:
            self._ask(_preparation(setting, checkpoint, machine), deadline)
        except RivalError:
            self._child.kill()
            raise

    def score(self, documents: Input, deadline: float) -> Scored:
        request = {"call": "score", "prompts": str(documents.prompts), "count": documents.count}
        time.sleep(SETTLE_SECONDS)
        answer = self._ask(request, deadline)
        return Scored(answer["seconds"], answer["log_odds"])

    def _ask(self, request: Json, deadline: float) -> Json:
        self._child.send([json.dumps(request).encode()])
        answer = json.loads(self._child.receive(deadline))
        if "error" in answer:
            raise RivalError(answer["error"])
        return answer

    def finish(self) -> Ending:
        return self._child.finish()

    def kill(self) -> None:
        self._child.kill()


def _preparation(setting: WorkerSetting, checkpoint: Checkpoint, machine: Machine) -> Json:
    return {
        "call": "prepare",
        "checkpoint": str(checkpoint.folder),
        "converted": str(setting.converted),
        "dtype": setting.dtype,
        "device": machine.device,
        "threads": machine.threads,
        "label_ids": checkpoint.label_ids,
        "longest_prompt": setting.longest_prompt,
        "settings": setting.kind.settings,
    }


def start_up(program: Path, checkpoint: Path, machine: Machine, line: bytes, repeats: int, log: Path) -> Json:
    """Seconds from the start of prm-score to its first row, and its peak memory, for one document."""
    seconds, peaks = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        scorer = PrmScore(program, checkpoint, "float32", machine, log)
        scorer.rows_of([line], time.monotonic() + FIRST_ROW_SECONDS)
        seconds.append(time.perf_counter() - start)
        peaks.append(scorer.finish().peak_bytes)
    return {"seconds_to_first_row": seconds, "peak_bytes": peaks}
