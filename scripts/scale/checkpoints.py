"""Judges to measure: the shipped one, and checkpoints of the shapes of real ones with weights that say nothing.

Their speed is that of real weights; their files can be hashed and mapped as real ones are.
"""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

from bench.make_checkpoint import SHAPES, TOKENIZER_FILES, config_of, tensors_of
from bench.program import REPOSITORY
from bench.safetensors_file import TensorInfo, write_safetensors
from bench.work import ModelShape

TINY_JUDGE = REPOSITORY / "data/tiny-judge"
QWEN_TOKENIZER = REPOSITORY / "data/qwen2.5-tokenizer"
SHAPE_1_5B = ModelShape(1536, 8960, 28, 12, 2, 151936, True)
BLOCK_BYTES = 1 << 24
"""randbytes cannot give everything at once."""
ONE = b"\x80\x3f"
"""1 in bfloat16."""
HIGH_BYTE = bytes(0x3C | (byte & 0x80) for byte in range(256))
"""Sign and exponent of a bfloat16 between 0.0078 and 0.031."""


@dataclass(frozen=True)
class Judge:
    name: str
    title: str
    dtype: str
    shape: ModelShape
    is_shipped: bool = False

    def folder(self, work: Path) -> Path:
        """Made there if it is not the shipped one; computing in another dtype takes the same files."""
        if self.is_shipped:
            return TINY_JUDGE
        folder = work / self.title
        if not (folder / "config.json").is_file():
            make_checkpoint(folder, self.shape)
        return folder


SHIPPED_SHAPE = ModelShape(256, 704, 7, 4, 2, 4096, False, 4096, 10000.0)
JUDGES = {
    judge.name: judge
    for judge in (
        Judge("judge-float32", "shipped judge", "float32", SHIPPED_SHAPE, is_shipped=True),
        Judge("0.5b-float32", "0.5B", "float32", SHAPES["qwen2.5-0.5b"]),
        Judge("0.5b-bfloat16", "0.5B", "bfloat16", SHAPES["qwen2.5-0.5b"]),
        Judge("1.5b-bfloat16", "1.5B", "bfloat16", SHAPE_1_5B),
    )
}


def bytes_of(tensor: TensorInfo, seed: int) -> bytes:
    count = prod(tensor.shape)
    if tensor.name.endswith("norm.weight"):
        return ONE * count
    generator = random.Random(f"{seed} {tensor.name}")
    sizes = [BLOCK_BYTES] * (2 * count // BLOCK_BYTES) + [2 * count % BLOCK_BYTES]
    drawn = bytearray(b"".join(generator.randbytes(size) for size in sizes))
    drawn[1::2] = drawn[1::2].translate(HIGH_BYTE)
    return bytes(drawn)


def make_checkpoint(folder: Path, shape: ModelShape, seed: int = 0) -> None:
    """In bfloat16. The folder appears when it is whole."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(QWEN_TOKENIZER / name, unfinished / name)
    write_safetensors(unfinished / "model.safetensors", "BF16", tensors_of(shape), partial(bytes_of, seed=seed))
    config = json.dumps(config_of(shape, "bfloat16"), indent=2) + "\n"
    (unfinished / "config.json").write_text(config, encoding="utf-8")
    unfinished.rename(folder)
