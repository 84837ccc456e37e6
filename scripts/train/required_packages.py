"""Imported by a script before its packages: if one is missing it ends with the line that installs it, and its --help
works without any. The scripts in the folder above import it too.

For --help the packages are not loaded at all, but stood in for: only names and defaults of options are read from the
modules then.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[1]
OF_TRAINING = "scripts/train/requirements.txt"
OF_RAY = "scripts/ray_scoring/requirements.txt"
OF_TESTS = "tests/requirements.txt"
PACKAGES = frozenset(
    "bs4 httpx2 lxml matplotlib numpy pyarrow ray safetensors sentencepiece tokenizers torch tqdm transformers "
    "unicodedata2".split()
)
"""As they are imported."""


def requirements_of(script: Path) -> list[str]:
    if script.parent != SCRIPTS:
        return [OF_TRAINING]
    return [OF_RAY] if script.name == "ray_score.py" else [OF_TESTS, OF_TRAINING]


class _Anything:
    """Whatever is done with it while modules are loaded gives it again."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_args: Any, **_named: Any) -> Any:
        return self

    def __getitem__(self, _key: Any) -> Any:
        return self

    def __or__(self, _other: Any) -> Any:
        return self

    __ror__ = __or__

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


class _StandIn(ModuleType):
    __version__ = "not loaded"

    def __getattr__(self, name: str) -> Any:
        return Warning if name.endswith("Warning") else getattr(_Anything(), name)  # filters want a class


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, _path: object, _target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in PACKAGES:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def prepare(script: Path, arguments: Sequence[str]) -> None:
    """For `script`, which has just started."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--help" in own or "-h" in own:
        sys.meta_path.insert(0, _StandIns())
    files = requirements_of(script)

    def tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not isinstance(error, ModuleNotFoundError):
            sys.__excepthook__(kind, error, traceback)
            return
        line = f"{script.stem}: expected the Python packages of {' and '.join(files)}, found no {error.name}: "
        print(line + "python3 -m pip install " + " ".join(f"-r {file}" for file in files), file=sys.stderr)

    sys.excepthook = tell


_main = Path(getattr(sys.modules["__main__"], "__file__", None) or "nothing").resolve()
if _main.parent in (SCRIPTS, SCRIPTS / "train"):  # not where a test imports a script
    prepare(_main, sys.argv[1:])
