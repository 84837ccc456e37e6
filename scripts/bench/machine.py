"""What a result was measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.program import REPOSITORY

Json = dict[str, Any]
FLAGS = re.compile(r"(avx|amx|fma|f16c|sse4|vnni)\w*")


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{name}\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else "unknown"


def _memory_bytes(name: str) -> int:
    match = re.match(r"\d+", _field(Path("/proc/meminfo").read_text(encoding="ascii"), name))
    return int(match[0]) * 1024 if match else 0


def available_bytes() -> int:
    return _memory_bytes("MemAvailable")


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def describe() -> Json:
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    flags = [flag for flag in _field(cpu, "flags").split() if FLAGS.fullmatch(flag)]
    gpu = _output("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
    return {
        "cpu": _field(cpu, "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "isa": flags,
        "memory_bytes": _memory_bytes("MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "gpu": gpu.splitlines() if gpu else [],
    }


def describe_run() -> Json:
    status = _output("git", "status", "--porcelain")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _output("git", "rev-parse", "HEAD"),
        "changed_since_commit": bool(status),
        "load_before": os.getloadavg()[0],
    }
