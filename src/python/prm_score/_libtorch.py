"""Finds the libtorch of the installed torch package and loads it, so that prm_score._native uses that very one."""

import ctypes
import importlib.util
import pathlib
import re

from prm_score import _build

# Each needs those before it; libtorch_cpu finds the rest beside itself.
_LIBRARIES = ("libc10.so", "libtorch_cpu.so")


def _minor(version: str) -> str:
    """2.15 of 2.15.0: what the C++ interface depends on, and what the wheel's metadata requires."""
    return ".".join(version.split(".")[:2])


def _version_of(folder: pathlib.Path) -> str:
    """2.15.0 for 2.15.0+cu132."""
    found = re.search(r"^__version__ = ['\"](\d+\.\d+\.\d+)", (folder / "version.py").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def load() -> None:
    """Raises ImportError if torch is not there, or is not of the minor version that prm_score was built for."""
    expected = f"prm_score: expected torch {_minor(_build.TORCH_VERSION)}, which it was built for, found"
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise ImportError(f"{expected} none: pip install torch=={_minor(_build.TORCH_VERSION)}.*")
    folder = pathlib.Path(spec.origin).parent
    version = _version_of(folder)
    if _minor(version) != _minor(_build.TORCH_VERSION):
        raise ImportError(f"{expected} {version} in {folder}: install prm_score again")
    for library in _LIBRARIES:
        ctypes.CDLL(str(folder / "lib" / library))
