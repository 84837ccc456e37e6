#!/usr/bin/env python3
"""Holds our byte-level BPE against the `tokenizers` package: ids, sources and decodings, for every kind of tokenizer.

Texts are the torture list, the corpus and random strings of hostile pieces (tokenizer_texts.py). Prints each text whose
answers differ and exits 1 if there is one.

Usage: scripts/compare_tokenizers.py build/tests/prm_score_tokenize [--random 20000] [--kinds qwen2.5,llama3] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import unicodedata

from train import required_packages  # noqa: F401

# isort: split
from tokenizers import Tokenizer

from make_tokenizer_goldens import encode, load
from tokenizer_kinds import DATA, kind_folders
from tokenizer_texts import TEXTS, cut_texts, expand, random_text

MAX_SHOWN = 10
MAX_CHARACTERS_WITH_SOURCES = 2000  # the reference's offsets of long texts take long to write down
# Bytes without a token shift the reference's offsets (it counts only the bytes it kept): ours say where ids come from.
KINDS_WITHOUT_SOURCES = {"some_bytes"}


def ask(binary: str, folder, mode: str, what: str, questions: list) -> list:
    """Our answers, one per question."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([binary, str(folder), mode, what], input=lines, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{binary} {folder}: exit {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def reference_sources(tokenizer: Tokenizer, text: str) -> list[list[int]]:
    """[id, begin, end] with the reference's offsets turned from code points to bytes."""
    tokenizer.encode_special_tokens = False
    encoding = tokenizer.encode(text, add_special_tokens=False)
    byte_at = [0]
    for character in text:
        byte_at.append(byte_at[-1] + len(character.encode()))
    return [[i, byte_at[begin], byte_at[end]] for i, (begin, end) in zip(encoding.ids, encoding.offsets)]


def report(name: str, questions: list, ours: list, expected: list) -> int:
    """The number of answers that differ; prints the first of them."""
    wrong = [(q, a, e) for q, a, e in zip(questions, ours, expected, strict=True) if a != e]
    for question, answer, wanted in wrong[:MAX_SHOWN]:
        same = min(len(answer), len(wanted))
        at = next((i for i in range(same) if answer[i] != wanted[i]), same)
        print(f"  {json.dumps(question)[:300]}\n    at {at}: expected {wanted[at:at + 12]}, got {answer[at:at + 12]}")
    print(f"{name}: {len(questions)} compared, {len(wrong)} differ", flush=True)
    return len(wrong)


def compare_kind(binary: str, name: str, folder, texts: list[str], rng: random.Random) -> int:
    tokenizer = load(folder)
    num_wrong = 0
    for mode in ("parse", "text"):
        expected = [encode(tokenizer, text, as_text=mode == "text") for text in texts]
        num_wrong += report(f"{name} ids ({mode})", texts, ask(binary, folder, mode, "ids", texts), expected)
    every_id = sorted(tokenizer.get_vocab().values())
    lists = [rng.choices(every_id, k=rng.randrange(12)) for _ in range(2000)]
    expected = [tokenizer.decode(ids, skip_special_tokens=False) for ids in lists]
    num_wrong += report(f"{name} decode", lists, ask(binary, folder, "parse", "decode", lists), expected)
    if name not in KINDS_WITHOUT_SOURCES:
        # Where NFC changes a text the reference leaves out characters that it joined; ours have no gaps.
        short = [t for t in texts if len(t) <= MAX_CHARACTERS_WITH_SOURCES and unicodedata.is_normalized("NFC", t)]
        expected = [reference_sources(tokenizer, text) for text in short]
        num_wrong += report(f"{name} sources", short, ask(binary, folder, "parse", "sources", short), expected)
    return num_wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--random", type=int, default=20_000)
    parser.add_argument("--kinds", default=",".join(kind_folders()))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    texts = [expand(text) for text in (TEXTS | cut_texts()).values()]
    texts += [file.read_bytes().decode() for file in sorted((DATA / "corpus").rglob("*.txt"))]
    texts += [random_text(rng) for _ in range(options.random)]
    folders = kind_folders()
    num_wrong = sum(compare_kind(options.binary, name, folders[name], texts, rng) for name in options.kinds.split(","))
    print("all equal" if num_wrong == 0 else f"{num_wrong} answers differ")
    sys.exit(1 if num_wrong else 0)


if __name__ == "__main__":
    main()
