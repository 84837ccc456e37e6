"""Held-out versions of documents: what an evaluation asks of them beyond what every reader does."""

from __future__ import annotations

from pathlib import Path

from errors import InputError
from versions import DOCUMENT, REAL, Version, read_with_places, shown


def read_evaluated(path: Path) -> list[Version]:
    """All versions of a file. Every document with a damaged version as a whole has exactly one real version."""
    versions = list(read_with_places(path))
    if not versions:
        raise InputError(f"{path}: expected versions of documents, found no line")
    real: dict[str, str] = {}
    for place, version in versions:
        _check_names(place, version)
        if version.kind == REAL and version.scope == DOCUMENT:
            if version.document in real:
                raise InputError(
                    f'{place}: document "{version.document}": expected one real version, found a second one, '
                    f"the first is {real[version.document]}"
                )
            real[version.document] = place
    for place, version in versions:
        if version.scope == DOCUMENT and version.document not in real:
            raise InputError(
                f'{place}: document "{version.document}": expected a real version (kind "real", scope "document") in '
                f"the same file, found only damaged ones"
            )
    return [version for _, version in versions]


def _check_names(place: str, version: Version) -> None:
    """Sources and kinds are parts of metrics' names."""
    for field, name in (("source", version.source), ("kind", version.kind)):
        if not name or "/" in name:
            expected = 'a string, not empty, without "/"'
            raise InputError(f'{place}: field "{field}": expected {expected}, found {shown(name)}')
    if version.kind == "overall":
        raise InputError(
            f'{place}: field "kind": expected a kind of damage, found "overall", which stands for all kinds'
        )
