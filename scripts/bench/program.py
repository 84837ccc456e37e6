"""prm-score's other commands: its version, what it knows of a checkpoint, the prompts it makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError

REPOSITORY = Path(__file__).resolve().parents[2]
Json = dict[str, Any]


def find_program(path: Path | None) -> Path:
    """The given one, else build/prm-score, else the one on the PATH. Throws BenchError."""
    if path is None:
        built = REPOSITORY / "build" / "prm-score"
        on_path = shutil.which("prm-score")
        path = Path(on_path) if on_path and not built.is_file() else built
    if not path.is_file():
        raise BenchError(f"{path}: expected prm-score, found no file; build it (scripts/quickstart.sh) or --prm-score")
    return path.absolute()


def _run(program: Path, arguments: Sequence[str | Path]) -> bytes:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PRM_SCORE_")}
    done = subprocess.run([program, *arguments], capture_output=True, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        doing = " ".join(str(argument) for argument in arguments[:1])
        raise BenchError(f"prm-score {doing}: exit code {done.returncode}: {said[-1] if said else 'no message'}")
    return done.stdout


def version_of(program: Path) -> list[str]:
    return _run(program, ["--version"]).decode().split("\n")[:-1]


def info_of(program: Path, checkpoint: Path) -> Json:
    return json.loads(_run(program, ["info", "--model", checkpoint, "--json"]))


def plan_of(program: Path, checkpoint: Path, documents: Path) -> Json:
    """Counts: documents, tokens, chunks, rows, rows_without_sharing."""
    info = json.loads(_run(program, ["info", "--model", checkpoint, "--json", "--plan", documents]))
    plan = info["plan"]
    if plan["bad_lines"]:
        raise BenchError(f"{documents.name}: expected documents that can be scored, found {plan['bad_lines']} bad ones")
    return plan


def write_prompts(program: Path, checkpoint: Path, documents: Path, output: Path) -> None:
    output.write_bytes(_run(program, ["prompts", "--model", checkpoint, documents]))


def label_ids_of(program: Path, checkpoint: Path) -> tuple[int, int]:
    labels = info_of(program, checkpoint)["labels"]
    return labels["A"], labels["B"]
