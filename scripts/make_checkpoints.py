#!/usr/bin/env python3
"""Makes data/golden/checkpoints/: seeded small checkpoints in the Hugging Face layout, and transformers' results on them.

Beside each folder stands NAME.golden.json: log-odds of random prompts in float64 (and in bfloat16, for the size of its
errors) and the hidden states of one short prompt. Tokenizers are linked into the folders where they are found in data/.
Run from anywhere; needs the packages `torch`, `transformers` and `safetensors`. Versions are recorded in each file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from train import required_packages  # noqa: F401

# isort: split
import torch
import transformers

ROOT = Path(__file__).resolve().parent.parent
LABEL_IDS = (32, 33)
PROMPT_LENGTHS = [1, 2, 63, 64, 65, 200]
HIDDEN_STATE_PROMPT = [7, 1, 200, 7, 42]


class ReferenceModel:
    """A checkpoint run by transformers: one prompt at a time, eager attention, float64 unless another dtype is given."""

    def __init__(self, folder: Path, label_ids: tuple[int, int] = LABEL_IDS, dtype: torch.dtype = torch.float64):
        attention = "eager" if dtype == torch.float64 else "sdpa"
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=attention)
        self.model.eval()
        self.label_ids = label_ids

    @property
    def max_positions(self) -> int:
        config = self.model.config
        slides = config.model_type == "mistral" or "sliding_attention" in (getattr(config, "layer_types", None) or [])
        window = config.sliding_window if slides else None
        return min(config.max_position_embeddings, window or config.max_position_embeddings)

    @torch.inference_mode()
    def log_odds(self, input_ids: list[int]) -> float:
        """logit(A) - logit(B) at the last position."""
        label_a, label_b = self.label_ids
        hidden = self.model.model(torch.tensor([input_ids]), use_cache=False).last_hidden_state[0, -1]
        head = self.model.lm_head.weight
        precise = torch.float64 if head.dtype == torch.float64 else torch.float32
        return float(hidden.to(precise) @ (head[label_a].to(precise) - head[label_b].to(precise)))

    @torch.inference_mode()
    def hidden_states(self, input_ids: list[int]) -> list[list[list[float]]]:
        """Embeddings and the output of each layer, [num_hidden_layers + 1][num_tokens][hidden_size]."""
        states = [self.model.model.embed_tokens(torch.tensor([input_ids]))]
        hooks = [layer.register_forward_hook(lambda _m, _i, output: states.append(output)) for layer in self.model.model.layers]
        self.model.model(torch.tensor([input_ids]), use_cache=False)
        for hook in hooks:
            hook.remove()
        return [[[float(f"{x:.8g}") for x in row] for row in state[0].tolist()] for state in states]


def reference_log_odds(folder: Path, input_ids: list[int], label_ids: tuple[int, int] = LABEL_IDS) -> float:
    """log-odds of one prompt by transformers in float64. For many prompts keep a ReferenceModel."""
    return ReferenceModel(folder, label_ids).log_odds(input_ids)


@dataclass(frozen=True)
class Checkpoint:
    config: transformers.PretrainedConfig
    dtype: torch.dtype
    tokenizer: str | None = None  # folder under data/
    label_ids: tuple[int, int] = LABEL_IDS
    zero_head: bool = False  # head zero but for the two labels' rows
    repeat_embeddings: int | None = None  # rows repeat with this period: a big vocabulary that git can compress
    max_shard_size: str = "1GB"
    edit_config: Callable[[dict], None] = field(default=lambda config: None)


def old_rope_spelling(config: dict) -> None:
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    rope.pop("rope_type", None)
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)


def checkpoints() -> dict[str, Checkpoint]:
    small = {"num_hidden_layers": 2, "bos_token_id": None, "eos_token_id": None}
    llama3 = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    }
    return {
        # Qwen2.5's own tokenizer; sharded; 7 query heads to one key-value head; explicit head_dim; old spelling.
        "qwen2-sharded": Checkpoint(
            transformers.Qwen2Config(
                vocab_size=151936, hidden_size=8, intermediate_size=24, num_attention_heads=7, num_key_value_heads=1,
                head_dim=8, max_position_embeddings=1024, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, **small,
            ),
            torch.bfloat16, tokenizer="qwen2.5-tokenizer", zero_head=True, repeat_embeddings=1021, max_shard_size="2500KB",
            edit_config=old_rope_spelling,
        ),
        "qwen2-tied": Checkpoint(
            transformers.Qwen2Config(
                vocab_size=1024, hidden_size=24, intermediate_size=40, num_attention_heads=3, num_key_value_heads=1,
                max_position_embeddings=512, tie_word_embeddings=True, **small,
            ),
            torch.float32, tokenizer="golden/tokenizers/gpt2",
        ),
        "qwen3": Checkpoint(
            transformers.Qwen3Config(
                vocab_size=1024, hidden_size=24, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2,
                head_dim=16, max_position_embeddings=512, **small,
            ),
            torch.bfloat16, tokenizer="golden/tokenizers/qwen3",
        ),
        "llama3": Checkpoint(
            transformers.LlamaConfig(
                vocab_size=1024, hidden_size=32, intermediate_size=48, num_attention_heads=2, num_key_value_heads=1,
                max_position_embeddings=1024, rope_parameters=llama3, **small,
            ),
            torch.float16, tokenizer="golden/tokenizers/llama3",
        ),
        "llama-biased": Checkpoint(
            transformers.LlamaConfig(
                vocab_size=1024, hidden_size=32, intermediate_size=48, num_attention_heads=4, attention_bias=True, mlp_bias=True,
                max_position_embeddings=512, **small,
            ),
            torch.bfloat16, tokenizer="golden/sentencepiece/llama", label_ids=(963, 970),
        ),
        "mistral-sliding": Checkpoint(
            transformers.MistralConfig(
                vocab_size=1024, hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2,
                max_position_embeddings=1024, sliding_window=256, **small,
            ),
            torch.bfloat16, tokenizer="golden/sentencepiece/mistral", label_ids=(963, 970),
        ),
        "mistral-nemo": Checkpoint(
            transformers.MistralConfig(
                vocab_size=1024, hidden_size=40, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                max_position_embeddings=512, sliding_window=None, **small,
            ),
            torch.bfloat16, tokenizer="golden/tokenizers/mistral_nemo", label_ids=(38, 39),
        ),
        # Sizes that are no multiple of any vector length.
        "qwen2-odd-sizes": Checkpoint(
            transformers.Qwen2Config(
                vocab_size=257, hidden_size=112, intermediate_size=173, num_attention_heads=7, num_key_value_heads=1,
                max_position_embeddings=512, tie_word_embeddings=True, **small,
            ),
            torch.float32,
        ),
    }  # fmt: skip


def random_weights(model: transformers.PreTrainedModel, checkpoint: Checkpoint, seed: int) -> None:
    """Large enough that attention is far from uniform and the log-odds depend on order and context."""
    generator = torch.Generator().manual_seed(seed)

    def normal(parameter: torch.Tensor, scale: float) -> torch.Tensor:
        return torch.randn(parameter.shape, generator=generator) * scale

    for name, parameter in sorted(model.named_parameters()):
        if name.endswith("norm.weight"):
            parameter.data = 1 + normal(parameter, 0.2)
        elif name.endswith("bias"):
            parameter.data = normal(parameter, 0.3)
        elif "embed_tokens" in name:
            is_head = checkpoint.config.tie_word_embeddings
            parameter.data = normal(parameter, 2 / parameter.shape[1] ** 0.5 if is_head else 1.0)
            if period := checkpoint.repeat_embeddings:
                parameter.data = parameter.data[torch.arange(len(parameter)) % period]
        elif name == "lm_head.weight":
            parameter.data = normal(parameter, 2 / parameter.shape[1] ** 0.5)
            if checkpoint.zero_head:
                others = torch.ones(len(parameter), dtype=torch.bool)
                others[list(checkpoint.label_ids)] = False
                parameter.data[others] = 0
        else:
            gain = 2.0 if "q_proj" in name or "k_proj" in name else 1.5
            parameter.data = normal(parameter, gain / parameter.shape[1] ** 0.5)
    model.tie_weights()


def write_checkpoint(name: str, checkpoint: Checkpoint, folder: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_config(checkpoint.config, dtype=torch.float32)
    random_weights(model, checkpoint, seed=sum(name.encode()))
    shutil.rmtree(folder, ignore_errors=True)
    model.to(checkpoint.dtype).save_pretrained(folder, max_shard_size=checkpoint.max_shard_size)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    checkpoint.edit_config(config)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    link_tokenizer(checkpoint, folder)


def link_tokenizer(checkpoint: Checkpoint, folder: Path) -> None:
    source = ROOT / "data" / (checkpoint.tokenizer or "")
    if checkpoint.tokenizer is None or not source.is_dir():
        return
    for file in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"):
        if (source / file).exists():
            (folder / file).symlink_to(os.path.relpath(source / file, folder))


def random_prompts(model: ReferenceModel, seed: int) -> list[list[int]]:
    rng = random.Random(seed)
    vocab_size = model.model.config.vocab_size
    prompts = [[rng.randrange(vocab_size) for _ in range(n)] for n in [*PROMPT_LENGTHS, model.max_positions]]
    order_swapped = [*prompts[2][1::-1], *prompts[2][2:]]  # the same ids in another order must give another result
    return [*prompts, order_swapped]


def make_golden(name: str, checkpoint: Checkpoint, folder: Path) -> dict[str, object]:
    model = ReferenceModel(folder, checkpoint.label_ids)
    bfloat16 = ReferenceModel(folder, checkpoint.label_ids, torch.bfloat16)
    prompts = random_prompts(model, seed=sum(name.encode()))
    log_odds = [model.log_odds(prompt) for prompt in prompts]
    assert abs(log_odds[2] - log_odds[-1]) > 1e-2, (name, "order does not matter", log_odds)
    assert 0.5 < max(map(abs, log_odds)) < 20, (name, log_odds)
    print(f"{name}: {[round(x, 3) for x in log_odds]}")
    return {
        "made_by": "scripts/make_checkpoints.py",
        "versions": {package: version(package) for package in ("torch", "transformers", "safetensors")},
        "label_ids": list(checkpoint.label_ids),
        "max_positions": model.max_positions,
        "num_parameters": model.model.num_parameters(),
        "prompts": [
            {"log_odds": expected, "log_odds_bfloat16": bfloat16.log_odds(prompt), "input_ids": prompt}
            for prompt, expected in zip(prompts, log_odds, strict=True)
        ],
        "hidden_states": {"input_ids": HIDDEN_STATE_PROMPT, "values": model.hidden_states(HIDDEN_STATE_PROMPT)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "data/golden/checkpoints")
    parser.add_argument("--only", help="name of one checkpoint")
    arguments = parser.parse_args()
    for name, checkpoint in checkpoints().items():
        if arguments.only in (None, name):
            folder = arguments.output / name
            write_checkpoint(name, checkpoint, folder)
            golden = make_golden(name, checkpoint, folder)
            (arguments.output / f"{name}.golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
