"""Files by local path or by URI (s3://, gs://, file://, whatever fsspec knows), behind one interface.

What is written appears under its name only when it is whole: written aside, then renamed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs

from ray_scoring.errors import InputError

_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
ASIDE = ".new"
"""Behind the name of a file that is not whole yet."""


@dataclass(frozen=True)
class Place:
    """A file or folder. `name`: as the user gave it, or derived from that."""

    name: str
    filesystem: Any
    path: str

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def beside(self, suffix: str) -> Place:
        """`suffix` behind the name."""
        return Place(self.name.rstrip("/") + suffix, self.filesystem, self.path + suffix)

    def inside(self, name: str) -> Place:
        return Place(f"{self.name.rstrip('/')}/{name}", self.filesystem, f"{self.path}/{name}")


def is_uri(name: str) -> bool:
    return _URI.match(name) is not None


def place_of(name: str) -> Place:
    """Throws InputError for a URI that nothing here can open."""
    if not is_uri(name):
        return Place(name, pafs.LocalFileSystem(), os.path.abspath(name))
    try:
        filesystem, path = _resolve(name)
    except (ImportError, OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be opened: {error}") from error
    return Place(name, filesystem, path.rstrip("/"))


def _resolve(uri: str) -> tuple[Any, str]:
    try:
        return pafs.FileSystem.from_uri(uri)
    except ValueError:  # not one of pyarrow's own schemes
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(uri)
        return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path


def reason(error: Exception) -> str:
    """What the system says, without the path that pyarrow puts in front of it."""
    text = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return text.splitlines()[0] if text else type(error).__name__


def info(place: Place) -> Any:
    """pyarrow's FileInfo. Throws InputError."""
    try:
        return place.filesystem.get_file_info(place.path)
    except (OSError, ValueError) as error:
        raise InputError(f"{place.name}: cannot be read: {reason(error)}") from error


def exists(place: Place) -> bool:
    return info(place).type != pafs.FileType.NotFound


def is_folder(place: Place) -> bool:
    return info(place).type == pafs.FileType.Directory


def is_same(one: Place, other: Place) -> bool:
    """By any way to it."""
    return one.filesystem == other.filesystem and _real(one) == _real(other)


def is_inside(place: Place, folder: Place) -> bool:
    return place.filesystem == folder.filesystem and _real(place).startswith(_real(folder).rstrip("/") + "/")


def _real(place: Place) -> str:
    return os.path.realpath(place.path) if place.is_local else place.path


def names_in(folder: Place) -> list[str]:
    """Names of the files right inside, sorted; none if it is not there. Throws InputError."""
    return _names_in(folder, pafs.FileType.File)


def folders_in(folder: Place) -> list[str]:
    """Likewise, of the folders."""
    return _names_in(folder, pafs.FileType.Directory)


def _names_in(folder: Place, kind: Any) -> list[str]:
    selector = pafs.FileSelector(folder.path, allow_not_found=True)
    try:
        found = folder.filesystem.get_file_info(selector)
    except OSError as error:
        raise InputError(f"{folder.name}: cannot be read: {reason(error)}") from error
    return sorted(entry.base_name for entry in found if entry.type == kind)


@contextmanager
def reading(place: Place) -> Iterator[Any]:
    """A stream of the file's bytes that can seek. What goes wrong while it is open is an InputError that names it."""
    try:
        with place.filesystem.open_input_file(place.path) as stream:
            yield stream
    except OSError as error:
        raise InputError(f"{place.name}: cannot be read: {reason(error)}") from error


def read(place: Place) -> bytes:
    """Throws InputError."""
    with reading(place) as stream:
        return stream.read()


def sha256_of(place: Place) -> str:
    """Throws InputError."""
    digest = hashlib.sha256()
    with reading(place) as stream:
        while piece := stream.read(1 << 24):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def writing(place: Place, aside: str = ASIDE) -> Iterator[Any]:
    """A stream to a file that gets its name when the block is left, and never if by an exception. Throws InputError."""
    temporary = place.beside(aside)
    try:
        try:
            with temporary.filesystem.open_output_stream(temporary.path) as stream:
                yield stream
            if place.is_local:
                _sync(temporary.path)
            place.filesystem.move(temporary.path, place.path)
        except BaseException:
            with suppress(InputError):
                remove(temporary)
            raise
    except OSError as error:
        raise InputError(f"{place.name}: cannot be written: {reason(error)}") from error


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write(place: Place, data: bytes) -> None:
    """Throws InputError."""
    with writing(place) as stream:
        stream.write(data)


def make_folder(place: Place) -> None:
    """Throws InputError."""
    try:
        place.filesystem.create_dir(place.path, recursive=True)
    except OSError as error:
        raise InputError(f"{place.name}: cannot be made: {reason(error)}") from error


def remove_files(folder: Place, names: list[str]) -> None:
    """Throws InputError."""
    for name in names:
        remove(folder.inside(name))


def remove(place: Place) -> None:
    """Throws InputError."""
    try:
        place.filesystem.delete_file(place.path)
    except OSError as error:
        raise InputError(f"{place.name}: cannot be removed: {reason(error)}") from error
