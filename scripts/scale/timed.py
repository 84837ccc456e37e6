"""One run of prm-score, with its times and with what the rest of the machine did meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scale.errors import ScaleError

Json = dict[str, Any]
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Timed:
    wall_seconds: float
    processor_seconds: float
    """Of all threads, user and system."""
    peak_bytes: int
    others_share: float
    """Of all processors' time: other programs', and what the host of a virtual machine took."""

    def as_json(self) -> Json:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def busy_seconds() -> float:
    """Of all processors since the start of the machine."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _wait, irq, soft_irq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + soft_irq + steal) / TICKS


def run(program: Path, arguments: Sequence[str | Path], exit_codes: Sequence[int] = (0,)) -> Timed:
    """Standard output is dropped. Throws ScaleError with the program's last message if it ends otherwise."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PRM_SCORE_")}
    busy_before, start = busy_seconds(), time.monotonic()
    process = subprocess.Popen(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stderr is not None
    try:
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - start
    if process.returncode not in exit_codes:
        raise ScaleError(f"prm-score: exit code {process.returncode}: {said[-1] if said else 'no message'}")
    own = usage.ru_utime + usage.ru_stime
    others = (busy_seconds() - busy_before - own) / (wall * (os.cpu_count() or 1))
    return Timed(wall, own, usage.ru_maxrss * 1024, min(1.0, max(0.0, others)))


def score(program: Path, metadata_file: Path, arguments: Sequence[str | Path]) -> tuple[Timed, Json]:
    """A run, and its metadata."""
    timed = run(program, [*arguments, "--metadata", metadata_file, "--progress", "none"])
    return timed, json.loads(metadata_file.read_text(encoding="utf-8"))
