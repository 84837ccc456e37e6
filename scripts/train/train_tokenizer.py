"""Trains the judge's tokenizer: byte-level BPE with Qwen2.5's normaliser and split pattern, in a small vocabulary."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import required_packages  # noqa: F401

# isort: split
from command_line import positive, program_main
from documents import read_documents
from errors import InputError
from prompt import END_OF_TEXT, encode, prompt_text
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from writing import whole_file

SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL_TOKENS = [END_OF_TEXT, "<|im_start|>", "<|im_end|>"]
PLAIN_ADDED_TOKENS = ["<think>", "</think>"]
TEMPLATE_REPEATS = 2000
"""The template stands in the training text so that its words become single tokens: every prompt pays for them."""


def trained_tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    added = [AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS]
    added += [AddedToken(t, special=False, normalized=False) for t in PLAIN_ADDED_TOKENS]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if vocab_size < len(alphabet) + len(added):
        least = len(alphabet) + len(added)
        raise InputError(f"--vocab-size: expected at least {least}, all bytes and the added tokens, found {vocab_size}")
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(added),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *[prompt_text("", "")] * TEMPLATE_REPEATS], trainer)
    tokenizer.add_tokens(added)
    return tokenizer


def tokenizer_config(tokenizer: Tokenizer, model_max_length: int) -> dict[str, object]:
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(index): {
                "content": token.content,
                "lstrip": token.lstrip,
                "normalized": token.normalized,
                "rstrip": token.rstrip,
                "single_word": token.single_word,
                "special": token.special,
            }
            for index, token in sorted(tokenizer.get_added_tokens_decoder().items())
        },
        "additional_special_tokens": SPECIAL_TOKENS[1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TEXT,
        "errors": "replace",
        "model_max_length": model_max_length,
        "pad_token": END_OF_TEXT,
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def train(args: argparse.Namespace) -> None:
    texts = [document.text for document in read_documents(args.documents) if document.text]
    if not texts:
        raise InputError(
            f"{', '.join(map(str, args.documents))}: expected text to learn from, found empty documents only"
        )
    tokenizer = trained_tokenizer(texts, args.vocab_size)
    config = json.dumps(tokenizer_config(tokenizer, args.model_max_length), indent=2, ensure_ascii=False)
    for name, content in (("tokenizer_config.json", config + "\n"), ("tokenizer.json", tokenizer.to_str(pretty=True))):
        with whole_file(args.out / name) as path:
            path.write_text(content, encoding="utf-8")

    sample = texts[::20]
    ratio = sum(len(text.encode()) for text in sample) / sum(len(encode(tokenizer, text)) for text in sample)
    template_tokens = len(encode(tokenizer, prompt_text("", "")))
    print(f"{tokenizer.get_vocab_size()} entries, {ratio:.2f} bytes a token, {template_tokens} tokens of template")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "documents",
        type=Path,
        nargs="+",
        help="JSON lines with a text field, *.txt files, or folders; gzip is unpacked",
    )
    add("--out", type=Path, required=True, help="folder for tokenizer.json and tokenizer_config.json")
    add("--vocab-size", type=positive, default=4096, help="entries, added tokens included (default: 4096)")
    add("--model-max-length", type=positive, default=4096, help="written to tokenizer_config.json (default: 4096)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    return program_main("train_tokenizer.py", train, args, args.out)


if __name__ == "__main__":
    sys.exit(main())
