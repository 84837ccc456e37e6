"""Writing results: one run at a time, a failure says where it happened, and no half of a file stays."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
            _sync(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _sync(file: Path) -> None:
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Makes the folder and, while the block runs, keeps every other run on this machine out of it. One that was made
    for nothing goes again. Throws InputError."""
    is_new = not out.exists()
    lock = _locked(out)
    try:
        yield
    finally:
        if is_new:
            with suppress(OSError):  # something came of it
                out.rmdir()
        os.close(lock)


def _locked(folder: Path) -> int:
    for _ in range(_MOST_REMOVALS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            found = "a link to none" if folder.is_symlink() and not folder.exists() else "a file"
            raise InputError(f"{folder}: expected a folder, found {found}") from error
        except OSError as error:
            raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # the other run removed it between the two
        except OSError as error:
            raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise InputError(f"{folder}: another run is writing there") from error
        except OSError:
            pass  # a file system without locks
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), folder.stat()):
                return lock
        os.close(lock)  # that folder was removed by the other run, made for nothing
    raise InputError(f"{folder}: is removed as often as it is made")


_MOST_REMOVALS = 100
