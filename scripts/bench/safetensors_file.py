"""safetensors files, read and written tensor by tensor, so that memory does not have to hold a whole checkpoint.

8 bytes: length of the header | header, JSON: name -> dtype, shape, data_offsets | bytes of the tensors
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError

if TYPE_CHECKING:
    import numpy as np

ITEM_BYTES = {"F32": 4, "BF16": 2, "F16": 2}


@dataclass(frozen=True)
class TensorInfo:
    name: str
    shape: tuple[int, ...]


def fingerprint(folder: Path) -> str:
    """Of what a checkpoint's weights and config say, whatever the folder's name."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), folder / "config.json"]):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def write_safetensors(
    path: Path, dtype: str, tensors: Sequence[TensorInfo], data_of: Callable[[TensorInfo], bytes]
) -> None:
    """`data_of` gives the bytes of one tensor when its turn has come."""
    offset, entries = 0, {}
    for tensor in tensors:
        end = offset + prod(tensor.shape) * ITEM_BYTES[dtype]
        entries[tensor.name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        for tensor in tensors:
            out.write(data_of(tensor))


class SafetensorsReader:
    """All tensors of the *.safetensors files of a folder, as float32 arrays."""

    def __init__(self, folder: Path):
        self._places: dict[str, tuple[Path, int, dict[str, Any]]] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            self._places |= {name: (path, 8 + length, entry) for name, entry in header.items()}
        if not self._places:
            raise BenchError(f"{folder}: expected *.safetensors, found none")

    def names(self) -> Iterable[str]:
        return self._places.keys()

    def read(self, name: str) -> np.ndarray:
        import numpy as np

        path, start, entry = self._places[name]
        begin, end = entry["data_offsets"]
        with path.open("rb") as file:
            file.seek(start + begin)
            data = file.read(end - begin)
        if entry["dtype"] == "BF16":  # the upper half of a float32
            values = (np.frombuffer(data, dtype="<u2").astype(np.uint32) << 16).view(np.float32)
        elif entry["dtype"] in ("F32", "F16"):
            values = np.frombuffer(data, dtype={"F32": "<f4", "F16": "<f2"}[entry["dtype"]]).astype(np.float32)
        else:
            raise BenchError(f"{path.name}: {name}: expected F32, F16 or BF16, found {entry['dtype']}")
        return values.reshape(entry["shape"])
