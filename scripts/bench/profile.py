"""Where prm-score's time goes, as the sampling profiler `perf` sees it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from bench.participants import Machine

SAMPLES_PER_SECOND = 199
"""Of each thread; no divisor of the timer's own rate."""
NUM_PLACES = 12
TIMEOUT_S = 600
_LINE = re.compile(r"^\s*(?P<share>\d+\.\d+)%\s+(?P<library>\[JIT\]|\S+)(?: tid \d+)?\s+\[.\]\s+(?P<symbol>.+?)\s*$")
_MADE_AT_RUN_TIME = "[JIT]"
Json = dict[str, Any]


def parse_report(text: str) -> list[Json]:
    """The places of `perf report -F overhead,dso,symbol`, those with most samples first: share (0 to 1), library,
    symbol without its arguments. Code that was made at run time has no symbols: it is oneDNN's."""
    places: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        if found := _LINE.match(line):
            is_jit = found["library"] == _MADE_AT_RUN_TIME
            key = found["library"], "oneDNN's matrix kernels" if is_jit else _short(found["symbol"])
            places[key] = places.get(key, 0.0) + float(found["share"]) / 100
    largest = sorted(places.items(), key=lambda item: -item[1])[:NUM_PLACES]
    return [{"share": round(share, 4), "library": library, "symbol": symbol} for (library, symbol), share in largest]


def _short(symbol: str) -> str:
    """A C++ name without arguments and what its templates are made of."""
    symbol = symbol.replace("(anonymous namespace)::", "").replace("prm_score::", "")
    name = re.sub(r"\(.*", "", symbol) or symbol
    while (shorter := re.sub(r"<[^<>]*>", "", name)) != name:
        name = shorter
    return name.removeprefix("void ").strip() or symbol


def profile(program: Path, checkpoint: Path, documents: Path, dtype: str, machine: Machine, work: Path) -> Json:
    """`places`, or the `reason` why there are none."""
    perf = shutil.which("perf")
    if perf is None:
        return {"reason": "perf is not installed (Debian's linux-perf)", "places": []}
    data = work / "perf.data"
    command: list[str | Path] = [
        perf,
        "record",
        "-q",
        "-F",
        str(SAMPLES_PER_SECOND),
        "-o",
        data,
        "--",
        program,
        documents,
    ]
    command += ["--model", checkpoint, "--device", machine.device, "--dtype", dtype, "--threads", str(machine.threads)]
    try:
        subprocess.run(command, check=True, capture_output=True, env=machine.environment(), timeout=TIMEOUT_S)
        report = [perf, "report", "-i", data, "--stdio", "--no-children", "-F", "overhead,dso,symbol"]
        done = subprocess.run(report, check=True, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or b""
        last = (said if isinstance(said, str) else said.decode(errors="replace")).strip().splitlines()[-1:]
        return {"reason": f"perf: {last[0] if last else error}", "places": []}
    finally:
        data.unlink(missing_ok=True)
    return {"reason": None, "places": parse_report(done.stdout)}
