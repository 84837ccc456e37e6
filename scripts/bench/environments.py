"""Where the rivals' packages are: an interpreter that has torch and transformers, and virtual environments below the
work folder, one for each library that brings much with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import RivalError

INSTALL_SECONDS = 3000


@dataclass(frozen=True)
class Environment:
    """`on_base`: also sees the packages of the reference interpreter, so that torch is not installed twice."""

    name: str
    packages: tuple[str, ...]
    needed: tuple[str, ...]
    on_base: bool = False
    needs_gpu_wheel: bool = False


REFERENCE = Environment("reference", ("torch", "transformers", "safetensors", "matplotlib"), ("torch", "transformers"))
ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        REFERENCE,
        Environment("llama.cpp", ("llama-cpp-python", "gguf"), ("llama-cpp-python", "gguf")),
        Environment("ctranslate2", ("ctranslate2",), ("ctranslate2",), on_base=True),
        Environment("vllm", ("vllm",), ("vllm",), needs_gpu_wheel=True),
    )
}
REPORTED = "torch transformers tokenizers llama-cpp-python gguf ctranslate2 vllm numpy matplotlib"
VERSIONS = f"""
import importlib.metadata as m, json, sys
names = {REPORTED.split()!r}
found = {{}}
for name in names:
    try:
        found[name] = m.version(name)
    except m.PackageNotFoundError:
        pass
json.dump(found | {{"python": sys.version.split()[0]}}, sys.stdout)
"""


def versions_in(python: Path) -> dict[str, str]:
    """Of the packages that matter here; empty if the interpreter does not run."""
    try:
        done = subprocess.run([python, "-c", VERSIONS], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return json.loads(done.stdout) if done.returncode == 0 else {}


class Environments:
    def __init__(self, folder: Path, python: Path | None, install: bool):
        self._folder, self._install = folder, install
        self._base = python or Path(sys.executable)
        self._base_is_given = python is not None
        self._found: dict[str, Path | RivalError] = {}

    def python_of(self, name: str) -> Path:
        """The interpreter of an environment, installed first if that is wanted. Throws RivalError: the reason."""
        if name not in self._found:
            try:
                self._found[name] = self._find(ENVIRONMENTS[name])
            except RivalError as error:
                self._found[name] = error
        found = self._found[name]
        if isinstance(found, RivalError):
            raise found
        return found

    def versions(self) -> dict[str, dict[str, str]]:
        """Of the environments asked for so far."""
        return {name: versions_in(found) for name, found in self._found.items() if isinstance(found, Path)}

    def _find(self, environment: Environment) -> Path:
        if environment is REFERENCE and _has(self._base, environment.needed):
            return self._base
        python = self._folder / environment.name / "bin" / "python"
        if _has(python, environment.needed):
            return python
        if environment.needs_gpu_wheel and shutil.which("nvidia-smi") is None:
            raise RivalError("not run: the package index has its CUDA build only, and there is no NVIDIA GPU here")
        if not self._install:
            raise RivalError(f"not run: {environment.packages[0]} is not installed (--install does)")
        self._make(environment)
        if not _has(python, environment.needed):
            raise RivalError(f"not run: expected {', '.join(environment.needed)} after installing, found them missing")
        return python

    def _make(self, environment: Environment) -> None:
        folder = self._folder / environment.name
        log = self._folder / f"{environment.name}.log"
        self._folder.mkdir(parents=True, exist_ok=True)
        print(f"bench: installing {' '.join(environment.packages)}", file=sys.stderr, flush=True)
        _logged([self._base, "-m", "venv", folder], log)
        if environment.on_base:
            self._see_base(folder)
        _logged([folder / "bin" / "python", "-m", "pip", "install", *environment.packages], log)

    def _see_base(self, folder: Path) -> None:
        """A virtual environment of a virtual environment does not see the packages of the latter by itself."""
        base = _purelib(self.python_of(REFERENCE.name))
        (_purelib(folder / "bin" / "python") / "reference.pth").write_text(f"{base}\n", encoding="utf-8")


def _has(python: Path, packages: Sequence[str]) -> bool:
    return set(packages) <= set(versions_in(python))


def _purelib(python: Path) -> Path:
    command: list[str | Path] = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip())


def _logged(command: Sequence[str | Path], log: Path) -> None:
    """Throws RivalError with what the command said last of an error."""
    with log.open("ab") as messages:
        try:
            done = subprocess.run(
                command, stdout=messages, stderr=subprocess.STDOUT, timeout=INSTALL_SECONDS, env=dict(os.environ)
            )
        except subprocess.TimeoutExpired as error:
            raise RivalError(f"cannot be installed: not done after {INSTALL_SECONDS} s") from error
    if done.returncode != 0:
        raise RivalError(f"cannot be installed: {_last_error(log)}")


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no message"])[-1][:300]
