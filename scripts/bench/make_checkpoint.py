"""Writes a seeded random Qwen2 checkpoint in the Hugging Face layout. Run in an interpreter that has torch.

Its log-odds say nothing, but they depend on every id before them, so that a rival that computes something else shows.
"""

from __future__ import annotations

import argparse
import json
import shutil
import zlib
from dataclasses import asdict
from functools import partial
from pathlib import Path

from bench.safetensors_file import TensorInfo, write_safetensors
from bench.work import ModelShape

SHAPES = {
    "qwen2.5-0.5b": ModelShape(896, 4864, 24, 14, 2, 151936, True),
    "qwen2.5-7b": ModelShape(3584, 18944, 28, 28, 4, 152064, False),
    # For trying the benchmark out.
    "tiny": ModelShape(128, 320, 2, 4, 2, 151936, True),
}
FILE_DTYPES = {"float32": "F32", "bfloat16": "BF16"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def tensors_of(shape: ModelShape) -> list[TensorInfo]:
    hidden, inner, kv = shape.hidden_size, shape.intermediate_size, shape.key_value_size
    parts = {
        "input_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (hidden, hidden),
        "self_attn.q_proj.bias": (hidden,),
        "self_attn.k_proj.weight": (kv, hidden),
        "self_attn.k_proj.bias": (kv,),
        "self_attn.v_proj.weight": (kv, hidden),
        "self_attn.v_proj.bias": (kv,),
        "self_attn.o_proj.weight": (hidden, hidden),
        "post_attention_layernorm.weight": (hidden,),
        "mlp.gate_proj.weight": (inner, hidden),
        "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
    }
    layers = [
        TensorInfo(f"model.layers.{layer}.{name}", size)
        for layer in range(shape.num_hidden_layers)
        for name, size in parts.items()
    ]
    vocabulary = (shape.vocab_size, hidden)
    head = [] if shape.tie_word_embeddings else [TensorInfo("lm_head.weight", vocabulary)]
    return [
        TensorInfo("model.embed_tokens.weight", vocabulary),
        *layers,
        TensorInfo("model.norm.weight", (hidden,)),
        *head,
    ]


def config_of(shape: ModelShape, dtype: str) -> dict[str, object]:
    sizes = asdict(shape)
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "bos_token_id": None,
        "eos_token_id": None,
        "use_sliding_window": False,
        "sliding_window": None,
        "torch_dtype": dtype,
        **sizes,
    }


def random_bytes(tensor: TensorInfo, seed: int, dtype: str, device: str) -> bytes:
    """Of a size that keeps the hidden states in range and attention away from uniform. Each kind of device draws
    numbers of its own."""
    import torch

    # A seed for each tensor: its values do not depend on the ones before it.
    generator = torch.Generator(device).manual_seed(seed * 2**32 + zlib.crc32(tensor.name.encode()))
    values = torch.randn(tensor.shape, generator=generator, device=device)
    if tensor.name.endswith("norm.weight"):
        values = 1 + 0.1 * values
    elif tensor.name.endswith("bias"):
        values = 0.1 * values
    elif tensor.name in ("model.embed_tokens.weight", "lm_head.weight"):
        values = values * 2 / tensor.shape[1] ** 0.5
    else:
        values = values / tensor.shape[1] ** 0.5
    return values.to(getattr(torch, dtype)).contiguous().view(torch.uint8).cpu().numpy().tobytes()


def make_checkpoint(
    folder: Path, shape: ModelShape, dtype: str, seed: int, tokenizer: Path, device: str = "cpu"
) -> None:
    """The folder appears when it is whole."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer / name, unfinished / name)
    (unfinished / "config.json").write_text(json.dumps(config_of(shape, dtype), indent=2) + "\n", encoding="utf-8")
    file = unfinished / "model.safetensors"
    contents = partial(random_bytes, seed=seed, dtype=dtype, device=device)
    write_safetensors(file, FILE_DTYPES[dtype], tensors_of(shape), contents)
    unfinished.rename(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-0.5b")
    parser.add_argument("--dtype", choices=FILE_DTYPES, default="float32", help="of the file (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="that draws the numbers: cpu or cuda (default: %(default)s)")
    parser.add_argument("--tokenizer", type=Path, required=True, metavar="FOLDER", help="to copy the tokenizer from")
    args = parser.parse_args()
    make_checkpoint(args.folder, SHAPES[args.shape], args.dtype, args.seed, args.tokenizer, args.device)


if __name__ == "__main__":
    main()
