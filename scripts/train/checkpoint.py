"""Checkpoints: base models, and judges, causal language models whose head keeps the rows of the two letters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from errors import InputError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel
from tree import ATTENTION_NAME
from writing import writing

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model")


def copy_tokenizer(source: Path, out: Path) -> None:
    """The tokenizer's files, so that the folder is a whole checkpoint. Nothing to do for a folder of its own."""
    if source.resolve() != out.resolve():
        for name in TOKENIZER_FILES:
            if (source / name).is_file():
                shutil.copyfile(source / name, out / name)


def open_model(checkpoint: Path, **options: Any) -> PreTrainedModel:
    """In float32, with `options` of transformers. Throws InputError."""
    if not (checkpoint / "config.json").is_file():  # transformers would look for a folder's name on the hub
        raise InputError(f"{checkpoint}: expected a checkpoint, found no config.json in it")
    try:
        return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, **options)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{checkpoint}: expected a checkpoint that transformers can load: {error}") from error


def open_judge(checkpoint: Path, letters: tuple[int, int], shared_context: bool = True) -> PreTrainedModel:
    """A base model, or a judge to train on, in float32, with an untied head that is zero but for the letters' rows."""
    model = open_model(checkpoint, **({"attn_implementation": ATTENTION_NAME} if shared_context else {}))
    keep_letters(model, letters)
    return model


def keep_letters(model: PreTrainedModel, letters: tuple[int, int]) -> None:
    """Rows of the head other than the letters' become zero. A tied head is untied and starts from a small direction."""
    head = model.get_output_embeddings()
    rows = torch.zeros_like(head.weight)
    if model.config.tie_word_embeddings:
        # The embedding's own rows tell letters apart, not texts; with zeros the body would learn nothing at first.
        direction = torch.randn(rows.shape[1]) * 0.02
        rows[letters[0]], rows[letters[1]] = direction, -direction
        model.config.tie_word_embeddings = False
    else:
        for letter in letters:
            rows[letter] = head.weight.detach()[letter]
    head.weight = torch.nn.Parameter(rows)


def save_model(
    model: PreTrainedModel,
    tokenizer: Path,
    out: Path,
    weights: dict[str, torch.Tensor] | None = None,
    config: dict[str, Any] | None = None,
) -> None:
    """Writes a Hugging Face folder: config.json with the values of `config` changed, safetensors of `weights` (default:
    the model's own), and the tokenizer's files from the folder `tokenizer`. Throws InputError. It is made under another
    name, and config.json gets its own last: a folder that has one is whole."""
    unfinished = out / ".unfinished"
    with writing(out):
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            model.save_pretrained(unfinished, state_dict=weights)
            for path in unfinished.glob("*.safetensors"):
                path.chmod(0o644)  # as the other files; the writer keeps it private
            copy_tokenizer(tokenizer, unfinished)
            if config is not None:
                _change_config(unfinished, config)
            for path in sorted(unfinished.iterdir(), key=lambda path: path.name == "config.json"):
                path.replace(out / path.name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _change_config(folder: Path, changes: dict[str, Any]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "generation_config.json").unlink(missing_ok=True)


def save_judge(
    model: PreTrainedModel, letters: tuple[int, int], tokenizer: Path, out: Path, dtype: torch.dtype
) -> None:
    """As save_model, in `dtype`, with a head that holds the letters' rows alone. Throws InputError."""
    weights = {name: tensor.detach().to("cpu", dtype) for name, tensor in model.state_dict().items()}
    head_name = next(n for n, p in model.named_parameters() if p is model.get_output_embeddings().weight)
    head = torch.zeros_like(weights[head_name])
    for letter in letters:
        head[letter] = weights[head_name][letter]
    weights[head_name] = head
    config = {"dtype": str(dtype).removeprefix("torch."), "tie_word_embeddings": False, "use_cache": True}
    save_model(model, tokenizer, out, weights, config)
