"""Writing results: a failure says where it happened, and no half of a file stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from errors import InputError
from safetensors import SafetensorError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the block throws because `path`, a file or a folder, cannot be written becomes an InputError. On a full disk
    torch throws RuntimeError and safetensors an error of its own."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be written, is the disk full? {error}") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where the block is to write: a name beside `path`, renamed to it at the end. A block that fails, or is killed,
    leaves the file before."""
    partial = path.with_name(path.name + ".partial")
    try:
        with writing(path):
            yield partial
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
