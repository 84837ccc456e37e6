"""The rivals by name: what each is, where it runs, and what its numbers are held to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RivalKind:
    """One way to compute the log-odds. `implementation` is MODULE:CLASS below bench.rivals, for the worker.

    `reduced`: computes in less than the run's dtype, so that its numbers are only reported.
    """

    name: str
    title: str
    implementation: str
    environment: str
    shares_prefix: bool
    reduced: bool = False
    devices: tuple[str, ...] = ("cpu", "cuda")
    converter: str = ""
    weight_bytes: float = 0.0
    """Of each parameter in memory; 0: as the run's dtype has it."""
    settings: dict[str, Any] = field(default_factory=dict)


# With flash attention llama.cpp casts a cache of F32 to F16 before it multiplies, so that there it is off.
def _llama(name: str, title: str, kind: str, cache: str, weight_bytes: float, reduced: bool = True) -> RivalKind:
    return RivalKind(
        name,
        f"llama.cpp, shared sequences, {title}",
        "llama_cpp_rival:SharedSequences",
        "llama.cpp",
        shares_prefix=True,
        reduced=reduced,
        devices=("cpu",),  # the package index has sources; built here, they are for the CPU
        converter=f"gguf {kind}",
        weight_bytes=weight_bytes,
        settings={"cache": cache, "flash": cache == "F16"},
    )


KINDS = {
    kind.name: kind
    for kind in (
        RivalKind(
            "transformers-one",
            "transformers, one prompt at a time",
            "transformers_rivals:OneAtATime",
            "reference",
            shares_prefix=False,
        ),
        RivalKind(
            "transformers-batch",
            "transformers, right-padded batches of 8",
            "transformers_rivals:PaddedBatches",
            "reference",
            shares_prefix=False,
        ),
        RivalKind(
            "transformers-prefix",
            "transformers, hand-written prefix cache",
            "transformers_rivals:PrefixCache",
            "reference",
            shares_prefix=True,
        ),
        _llama("llama-f32", "F32, F32 cache", "F32", "F32", 4, reduced=False),
        _llama("llama-f32-f16cache", "F32, F16 cache", "F32", "F16", 4),
        _llama("llama-bf16", "BF16, F16 cache", "BF16", "F16", 2),
        _llama("llama-q8_0", "Q8_0, F16 cache", "Q8_0", "F16", 1.0625),
        RivalKind(
            "ctranslate2",
            "CTranslate2, one prompt at a time",
            "ctranslate2_rival:OneAtATime",
            "ctranslate2",
            shares_prefix=False,
            converter="ctranslate2",
        ),
        RivalKind(
            "vllm",
            "vLLM, prefix caching",
            "vllm_rival:PrefixCaching",
            "vllm",
            shares_prefix=True,
        ),
    )
}
PRM_SCORE = "prm-score"
IN_INT8 = (PRM_SCORE, "ctranslate2")
"""Those that quantise what they load if they are asked for int8."""


@dataclass(frozen=True)
class RivalName:
    """`NAME` or `NAME@DTYPE`, as on the command line; the dtype is the run's where none is given."""

    name: str
    dtype: str

    @property
    def text(self) -> str:
        return f"{self.name}@{self.dtype}"


def parse_rivals(text: str) -> tuple[RivalName, ...]:
    """For argparse: a ValueError is a wrong argument."""
    names = []
    for part in text.split(","):
        name, _, dtype = part.partition("@")
        is_known = name in KINDS or name == PRM_SCORE
        if not is_known or dtype not in ("", "float32", "bfloat16", *(("int8",) if name in IN_INT8 else ())):
            raise ValueError(part)
        names.append(RivalName(name, dtype))
    return tuple(names)


DEFAULT_RIVALS = ",".join((f"{PRM_SCORE}@bfloat16", f"{PRM_SCORE}@int8", *KINDS, "ctranslate2@int8"))
