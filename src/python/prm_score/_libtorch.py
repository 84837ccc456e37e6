"""Finds the libtorch of the installed torch package and loads it, so that prm_score._native uses that very one."""

import ctypes
import importlib.util
import pathlib
import re

from prm_score import _build

# Each needs those before it; libtorch_cpu finds the rest beside itself.
_LIBRARIES = ("libc10.so", "libtorch_cpu.so")


def _version_of(folder: pathlib.Path) -> str:
    """2.15.0 for 2.15.0+cu132, of which only the first part matters to the C++ interface."""
    found = re.search(r"^__version__ = ['\"](\d+\.\d+\.\d+)", (folder / "version.py").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def load() -> None:
    """Raises ImportError if torch is not there, or is not the version that prm_score was built for."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise ImportError(
            f"prm_score: expected torch {_build.TORCH_VERSION}, which it was built for, found none: "
            f"pip install torch=={_build.TORCH_VERSION}"
        )
    folder = pathlib.Path(spec.origin).parent
    version = _version_of(folder)
    if version != _build.TORCH_VERSION:
        raise ImportError(
            f"prm_score: expected torch {_build.TORCH_VERSION}, which it was built for, found {version} in {folder}: "
            "install prm_score again"
        )
    for library in _LIBRARIES:
        ctypes.CDLL(str(folder / "lib" / library))
