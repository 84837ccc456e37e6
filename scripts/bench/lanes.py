"""The participants of one checkpoint: loaded, warmed up, and with a rate from which their next time is predicted."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.child import Ending
from bench.environments import Environments
from bench.errors import BenchError, RivalError
from bench.participants import Checkpoint, Input, Machine, Participant, PrmScore, Scored, WorkerRival, WorkerSetting
from bench.rivals import KINDS, PRM_SCORE, RivalName
from bench.safetensors_file import fingerprint
from bench.work import ModelShape, shape_of

LOAD_SECONDS = 900
PILOT_SECONDS = 300
CONVERT_SECONDS = 1800
PROCESS_BYTES = 1.5e9
"""A process needs so much beside its weights: libraries, activations, caches. A rough guess."""
WEIGHT_BYTES = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0}


@dataclass(frozen=True)
class Workload:
    """Documents, and how much work each of them is."""

    name: str
    num_words: int
    input: Input
    longest_prompt: int
    plan: dict[str, int]
    flops_alone: tuple[float, ...]
    flops_shared: tuple[float, ...]

    def flops(self, shares_prefix: bool, count: int) -> float:
        return sum((self.flops_shared if shares_prefix else self.flops_alone)[:count])


@dataclass
class Lane:
    """A participant, or the reason why it is none (any more)."""

    name: RivalName
    title: str
    shares_prefix: bool
    held_to_tolerance: bool
    weight_bytes: float
    participant: Participant | None = None
    reason: str | None = None
    seconds_per_flop: float = 0.0
    ending: Ending | None = field(default=None)

    def predicted_seconds(self, workload: Workload, count: int) -> float:
        return self.seconds_per_flop * workload.flops(self.shares_prefix, count)

    def score(self, workload: Workload, count: int, limit_seconds: float) -> Scored | None:
        """None if it fails: then the lane is closed, with the reason."""
        if self.participant is None:
            return None
        try:
            scored = self.participant.score(workload.input.first(count), time.monotonic() + limit_seconds)
        except RivalError as error:
            self.leave(str(error))
            return None
        self.seconds_per_flop = scored.seconds / workload.flops(self.shares_prefix, count)
        return scored

    def leave(self, reason: str) -> None:
        self.reason = reason
        print(f"bench: {self.name.text}: {reason}", file=sys.stderr, flush=True)
        if self.participant is not None:
            self.participant.kill()
            self.participant = None

    def finish(self) -> None:
        if self.participant is not None:
            self.ending = self.participant.finish()
            self.participant = None


def make_lane(name: RivalName, dtype: str) -> Lane:
    """`dtype`: the run's, for names without one of their own."""
    own = RivalName(name.name, name.dtype or dtype)
    if own.name == PRM_SCORE:
        is_exact = own.dtype == dtype == "float32"
        return Lane(own, f"prm-score, {own.dtype}", True, is_exact, WEIGHT_BYTES[own.dtype])
    kind = KINDS[own.name]
    title = kind.title if kind.converter.startswith("gguf") else f"{kind.title}, {own.dtype}"
    is_exact = not kind.reduced and own.dtype == dtype == "float32"
    return Lane(own, title, kind.shares_prefix, is_exact, kind.weight_bytes or WEIGHT_BYTES[own.dtype])


def group_by_memory(lanes: Sequence[Lane], num_parameters: int, budget_bytes: float) -> list[list[Lane]]:
    """Those of a group are loaded at the same time; one that is too big for any group has one for itself."""
    groups: list[list[Lane]] = [[]]
    used = 0.0
    for lane in lanes:
        need = lane.weight_bytes * num_parameters + PROCESS_BYTES
        if groups[-1] and used + need > budget_bytes:
            groups.append([])
            used = 0.0
        groups[-1].append(lane)
        used += need
    return groups


@dataclass(frozen=True)
class Opener:
    """Starts participants for one checkpoint."""

    program: Path
    environments: Environments
    machine: Machine
    checkpoint: Checkpoint
    work: Path
    longest_prompt: int
    warm_up: Workload

    def open(self, lane: Lane) -> None:
        """Loads it, and scores the warm-up document twice: once to be warm, once to know its rate."""
        try:
            lane.participant = self._start(lane.name)
        except RivalError as error:
            lane.leave(str(error))
        for _ in range(2):
            lane.score(self.warm_up, 1, PILOT_SECONDS)

    def open_baseline(self, lane: Lane) -> None:
        self.open(lane)
        if lane.participant is None:
            raise BenchError(f"{lane.name.text} on {self.checkpoint.name}: {lane.reason}")

    @property
    def shape(self) -> ModelShape:
        return shape_of(self.checkpoint.folder)

    def _start(self, name: RivalName) -> Participant:
        log = self.work / "logs" / f"{self.checkpoint.folder.name}-{name.text}.log"
        if name.name == PRM_SCORE:
            return PrmScore(self.program, self.checkpoint.folder, name.dtype, self.machine, log)
        kind = KINDS[name.name]
        if self.machine.device not in kind.devices:
            raise RivalError(f"not run: no {self.machine.device} form of it here")
        python = self.environments.python_of(kind.environment)
        converted = self._converted(kind.converter, python) if kind.converter else self.checkpoint.folder
        setting = WorkerSetting(kind, python, name.dtype, converted, self.longest_prompt)
        return WorkerRival(setting, self.checkpoint, self.machine, log, time.monotonic() + LOAD_SECONDS)

    def _converted(self, converter: str, python: Path) -> Path:
        """Kept in the work folder for the next run on the same weights; a name may stay when they change."""
        tool, *arguments = converter.split()
        folder = self.work / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / ".".join([self.checkpoint.folder.name, fingerprint(self.checkpoint.folder), *arguments, tool])
        if not output.exists():
            module, source = f"bench.{tool}_converter", self.checkpoint.folder
            command: list[str | Path] = [python, "-m", module, source, output, *arguments]
            run_tool(command, self.machine, f"converting to {tool}")
        return output


def run_tool(command: Sequence[str | Path], machine: Machine, doing: str) -> bytes:
    """A module of this package in another interpreter; its output. Throws RivalError."""
    try:
        done = subprocess.run(command, capture_output=True, env=machine.environment(), timeout=CONVERT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RivalError(f"{doing}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RivalError(f"{doing}: {said[-1][:300] if said else f'exit code {done.returncode}'}")
    return done.stdout
