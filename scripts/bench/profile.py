"""Where prm-score's time goes, as the sampling profiler `perf` sees it, and on a GPU NVIDIA's `ncu`."""

from __future__ import annotations

import csv
import io
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
GPU_LAUNCHES_BEFORE, GPU_LAUNCHES = 1500, 1000
"""Kernels are timed one by one, slowly: of the second or third step."""
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


def profile_gpu(program: Path, checkpoint: Path, documents: Path, dtype: str, machine: Machine, work: Path) -> Json:
    """`places`, or the `reason` why there are none."""
    ncu = shutil.which("ncu")
    if ncu is None:
        return {"reason": "ncu is not installed (NVIDIA Nsight Compute)", "places": []}
    log = work / "ncu.csv"
    command: list[str | Path] = [ncu, "--metrics", "gpu__time_duration.sum", "--clock-control", "none", "--csv"]
    command += ["--launch-skip", str(GPU_LAUNCHES_BEFORE), "--launch-count", str(GPU_LAUNCHES), "--log-file", log]
    command += [program, documents, "--model", checkpoint, "--device", machine.device, "--dtype", dtype]
    command += ["--self-check=false"]
    try:
        subprocess.run(command, check=True, capture_output=True, env=machine.environment(), timeout=TIMEOUT_S)
        places = parse_kernels(log.read_text(encoding="utf-8", errors="replace"))
    except (subprocess.SubprocessError, OSError) as error:
        return {"reason": f"ncu: {error}", "places": []}
    finally:
        log.unlink(missing_ok=True)
    if not places:
        return {"reason": f"ncu: fewer than {GPU_LAUNCHES_BEFORE} kernels", "places": []}
    return {"reason": None, "places": places, "what": f"{GPU_LAUNCHES:,} kernels from the middle of the run"}


def parse_kernels(text: str) -> list[Json]:
    """The places of ncu's comma-separated values, those with most time first; as parse_report has them."""
    lines = [line for line in csv.reader(io.StringIO(text)) if len(line) > 2]
    if not lines:
        return []
    name, unit, value = (lines[0].index(column) for column in ("Kernel Name", "Metric Unit", "Metric Value"))
    units = {"ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "msecond": 1e-3}
    seconds: dict[tuple[str, str], float] = {}
    for line in lines[1:]:
        key = _kernel(line[name])
        seconds[key] = seconds.get(key, 0.0) + float(line[value].replace(",", "")) * units[line[unit]]
    whole = sum(seconds.values())
    largest = sorted(seconds.items(), key=lambda item: -item[1])[:NUM_PLACES]
    return [
        {"share": round(spent / whole, 4), "library": library, "symbol": symbol} for (library, symbol), spent in largest
    ]


def _kernel(name: str) -> tuple[str, str]:
    """Library and name of a kernel."""
    if name.startswith(("nvjet", "cutlass", "sm80_xmma", "sm90_xmma", "void cutlass")):
        return "cuBLAS", "matrix products"
    short = re.sub(r"<.*", "", _short(name.replace("<unnamed>::", "")))
    return ("prm-score" if short in OWN_KERNELS else "libtorch"), short


OWN_KERNELS = ("add_rms_norm", "apply_rotary", "silu_and_mul", "merge_attention_states")
"""Of src/model/row_operations.cu."""
