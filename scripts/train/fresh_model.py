"""A small Qwen2 with random weights, of a size given on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from command_line import positive
from errors import InputError
from prompt import END_OF_TEXT, open_tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM
from tree import ATTENTION_NAME


def add_size_options(group: Any) -> None:
    group.add_argument("--hidden-size", type=positive, default=256, help="width of the model (default: 256)")
    group.add_argument("--intermediate-size", type=positive, default=704, help="width of the MLP (default: 704)")
    group.add_argument("--num-hidden-layers", type=positive, default=4, help="number of layers (default: 4)")
    group.add_argument("--num-attention-heads", type=positive, default=4, help="query heads (default: 4)")
    group.add_argument("--num-key-value-heads", type=positive, default=2, help="key and value heads (default: 2)")
    group.add_argument("--max-position-embeddings", type=positive, default=4096, help="longest prompt (default: 4096)")


def fresh_model(tokenizer_folder: Path, sizes: argparse.Namespace, shared_context: bool = True) -> Qwen2ForCausalLM:
    """With tied embeddings, from torch's default generator. `shared_context`: it runs with the attention of tree.py."""
    _check(sizes)
    tokenizer = open_tokenizer(tokenizer_folder)
    end_of_text = tokenizer.token_to_id(END_OF_TEXT)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.num_hidden_layers,
        num_attention_heads=sizes.num_attention_heads,
        num_key_value_heads=sizes.num_key_value_heads,
        max_position_embeddings=sizes.max_position_embeddings,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
        pad_token_id=end_of_text,
        use_cache=False,
        attn_implementation=ATTENTION_NAME if shared_context else "sdpa",
    )
    return Qwen2ForCausalLM(config)


def _check(sizes: argparse.Namespace) -> None:
    heads, key_value_heads = sizes.num_attention_heads, sizes.num_key_value_heads
    if heads % key_value_heads:
        raise InputError(
            f"--num-attention-heads: expected a multiple of {key_value_heads} key-value heads, found {heads}"
        )
    if sizes.hidden_size % (2 * heads):  # rotary embeddings turn pairs
        raise InputError(f"--hidden-size: expected a multiple of twice {heads} heads, found {sizes.hidden_size}")
