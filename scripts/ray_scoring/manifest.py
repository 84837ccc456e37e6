"""What a run that writes `--output` has done so far, and what it was asked for, as one JSON object.

format       3
fingerprint  all that moves a byte of the output, as prm-score says it
machine      what may move the last digits of rewards; a difference is told
block_bytes  \\ as given: they shape the parts
output       /  "file" or "folder", and its format
inputs       [{"name": "docs.jsonl", "size": 12345}, ..]
blocks       finished ones, whose parts are there: [file, number, first_line, num_lines, num_bytes, num_rows, num_bad,
             sha256 of the lines, whether it is the last of its file, sha256 of the part], all counted as in blocks.py
complete     whether --output is there
sha256       of --output once it is there, if it is a file; else ""
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ray_scoring.errors import InputError
from ray_scoring.fingerprint import Fingerprint, differences
from ray_scoring.storage import Place, read, write

_FORMAT = 3


class FinishedBlock(NamedTuple):
    file: int
    number: int
    first_line: int
    num_lines: int
    num_bytes: int
    num_rows: int
    num_bad: int
    sha256: str
    is_last: bool
    part_sha256: str


@dataclass(frozen=True)
class RunIdentity:
    """By what a run is known again. `inputs`: names and sizes in bytes."""

    fingerprint: Fingerprint
    block_bytes: int
    output: str
    inputs: tuple[tuple[str, int], ...]

    def rows(self) -> dict[str, Any]:
        """All that has to be the same."""
        inputs = {f"size of {name}": size for name, size in self.inputs}
        files = {"files": [name for name, _ in self.inputs]}
        shape = {"--block-bytes": self.block_bytes, "--output": self.output}
        return {**self.fingerprint.rows, **shape, **files, **inputs}


@dataclass
class Manifest:
    identity: RunIdentity
    blocks: dict[tuple[int, int], FinishedBlock] = field(default_factory=dict)
    is_complete: bool = False
    output_sha256: str = ""
    _hashes: dict[int, dict[int, str]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def num_rows(self) -> int:
        return sum(block.num_rows for block in self.blocks.values())

    @property
    def num_bad(self) -> int:
        return sum(block.num_bad for block in self.blocks.values())

    def num_bytes_left(self) -> int:
        """Of the input, about."""
        left = {file: self.identity.inputs[file][1] for file in self.unfinished_files()}
        for block in self.blocks.values():
            if block.file in left:
                left[block.file] -= block.num_bytes
        return sum(max(0, num_bytes) for num_bytes in left.values())

    def finished(self, file: int) -> dict[int, str]:
        """Hashes of a file's finished blocks, by their numbers."""
        return self._hashes.get(file, {})

    def add(self, block: FinishedBlock) -> None:
        """Nothing else fills `blocks`."""
        self.blocks[block.file, block.number] = block
        self._hashes.setdefault(block.file, {})[block.number] = block.sha256

    def remove(self, block: FinishedBlock) -> None:
        """It is to be scored again."""
        del self.blocks[block.file, block.number]
        del self._hashes[block.file][block.number]

    def unfinished_files(self) -> list[int]:
        return [file for file in range(len(self.identity.inputs)) if not self.is_file_finished(file)]

    def is_file_finished(self, file: int) -> bool:
        numbers = self.finished(file)
        return bool(numbers) and len(numbers) == max(numbers) + 1 and self.blocks[file, max(numbers)].is_last


def write_manifest(place: Place, manifest: Manifest) -> None:
    """Throws InputError."""
    identity = manifest.identity
    value = {
        "format": _FORMAT,
        "fingerprint": dict(identity.fingerprint.rows),
        "machine": dict(identity.fingerprint.machine),
        "block_bytes": identity.block_bytes,
        "output": identity.output,
        "inputs": [{"name": name, "size": size} for name, size in identity.inputs],
        "blocks": [list(block) for _, block in sorted(manifest.blocks.items())],
        "complete": manifest.is_complete,
        "sha256": manifest.output_sha256,
    }
    write(place, json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n")


def read_manifest(place: Place) -> Manifest:
    """Throws InputError."""
    try:
        value = json.loads(read(place).decode("utf-8", "surrogateescape"))
        if value["format"] != _FORMAT:
            raise InputError(
                f"{place.name}: format: expected {_FORMAT}, found {value['format']!r}, of another version; "
                "--overwrite begins anew"
            )
        inputs = tuple((str(entry["name"]), int(entry["size"])) for entry in value["inputs"])
        fingerprint = Fingerprint(dict(value["fingerprint"]), dict(value["machine"]))
        identity = RunIdentity(fingerprint, int(value["block_bytes"]), str(value["output"]), inputs)
        manifest = Manifest(identity, is_complete=bool(value["complete"]), output_sha256=str(value["sha256"]))
        for fields in value["blocks"]:
            manifest.add(_block(fields))
        return manifest
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{place.name}: expected the manifest of a run, found something else ({error!r})") from error


def _block(fields: Sequence[Any]) -> FinishedBlock:
    *numbers, sha256, is_last, part_sha256 = fields
    file, number, first_line, num_lines, num_bytes, num_rows, num_bad = map(int, numbers)
    return FinishedBlock(
        file, number, first_line, num_lines, num_bytes, num_rows, num_bad, str(sha256), bool(is_last), str(part_sha256)
    )


def why_not_resumed(there: Manifest, now: RunIdentity) -> str:
    """What differs; empty if the run may go on."""
    return differences(there.identity.rows(), now.rows(), ("there", "now"))
