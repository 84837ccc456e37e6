"""How much there is to compute: sizes of a checkpoint, rows of its forward passes, floating-point operations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.prefixes import make_trunks
from bench.prompts import DocumentPrompts


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a Qwen2 model, by their names in config.json."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    tie_word_embeddings: bool
    max_position_embeddings: int = 32768
    rope_theta: float = 1000000.0
    rms_norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def key_value_size(self) -> int:
        return self.num_key_value_heads * self.head_dim

    def products(self) -> list[tuple[int, int]]:
        """Inputs and outputs of a layer's matrix products, those with a common input as one."""
        return [
            (self.hidden_size, self.hidden_size + 2 * self.key_value_size),
            (self.hidden_size, self.hidden_size),
            (self.hidden_size, 2 * self.intermediate_size),
            (self.intermediate_size, self.hidden_size),
        ]

    @property
    def layer_parameters(self) -> int:
        """Of the matrices: each row is multiplied with all of them."""
        return sum(inputs * outputs for inputs, outputs in self.products())

    @property
    def num_parameters(self) -> int:
        """Of matrices and embeddings; biases and norms are too few to matter."""
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        return self.num_hidden_layers * self.layer_parameters + embeddings


def shape_of(checkpoint: Path) -> ModelShape:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    others = ("vocab_size", "tie_word_embeddings", "max_position_embeddings", "rms_norm_eps")
    return ModelShape(rope_theta=theta, **{name: config[name] for name in (*names, *others)})


def needed_flops(shape: ModelShape, num_rows: int, num_answers: int) -> int:
    """Of the matrix products that `num_rows` rows need at least; attention is not counted.

    In the last layer only the rows that answer need more than keys and values, so that a share of the ceiling that is
    computed from this number is never flattered by leaving the others out.
    """
    keys_and_values = 2 * shape.hidden_size * shape.key_value_size
    last_layer = num_rows * keys_and_values + num_answers * (shape.layer_parameters - keys_and_values)
    return 2 * (num_rows * (shape.num_hidden_layers - 1) * shape.layer_parameters + last_layer)


def attention_flops(shape: ModelShape, documents: Sequence[DocumentPrompts]) -> int:
    """Of attention's two products, with shared prefixes: each row with the keys and values that it sees, itself among
    them; in the last layer of the rows that answer alone. PaLM (arXiv 2204.02311, appendix B) counts them in its model
    FLOPs utilization, though for all rows as if they saw all of the sequence."""
    seen = answering = 0
    for prompts in documents:
        answering += sum(len(prompt) for prompt in prompts)
        for trunk in make_trunks(prompts):
            seen += _seen(len(trunk.ids), 0)
            seen += sum(_seen(len(branch.ids), branch.shared) for branch in trunk.branches)
    return 4 * shape.hidden_size * ((shape.num_hidden_layers - 1) * seen + answering)


def estimated_flops(shape: ModelShape, documents: Sequence[DocumentPrompts], shares_prefix: bool) -> float:
    """Attention too: what a time is predicted from."""
    return sum(_estimate(shape, prompts, shares_prefix) for prompts in documents)


def _estimate(shape: ModelShape, prompts: DocumentPrompts, shares_prefix: bool) -> float:
    if not shares_prefix:
        return sum(_rows_flops(shape, len(prompt), 0) for prompt in prompts)
    flops = 0.0
    for trunk in make_trunks(prompts):
        flops += _rows_flops(shape, len(trunk.ids), 0)
        flops += sum(_rows_flops(shape, len(branch.ids), branch.shared) for branch in trunk.branches)
    return flops


def _seen(num_rows: int, num_before: int) -> int:
    """By `num_rows` rows that see `num_before` rows and, each, those of their own up to themselves; added up."""
    return num_rows * num_before + num_rows * (num_rows + 1) // 2


def _rows_flops(shape: ModelShape, num_rows: int, num_before: int) -> float:
    seen = _seen(num_rows, num_before)
    return shape.num_hidden_layers * (2.0 * shape.layer_parameters * num_rows + 4.0 * shape.hidden_size * seen)
