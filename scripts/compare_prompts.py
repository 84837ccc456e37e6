#!/usr/bin/env python3
"""Holds `prm-score prompts` against the reference on random documents and options; exits 1 on the first difference.

Needs the packages `tokenizers` and `sentencepiece`. The seed is printed, so a failure can be repeated.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

from train import required_packages  # noqa: F401

# isort: split
from reference import Options, load_tokenizer, reference_prompts

ROOT = Path(__file__).resolve().parent.parent
PIECES = [
    *"abcdefgh ABC 0123456789 .,;!?/'\"-_<>|@#",
    "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u2028", "\x00", "\x0b", "\x85", "\u3000", " \n ", "\n   ",
    "the ", " and", "ing", "I'll", "'s", "'RE", "don't", "1234", "...", " (", ").\n",
    "\u0301", "\u0323", "\u0308", "e\u0301", "\u1100", "\u1161", "\u11a8", "\ud55c", "\u212b", "\u0958",
    "é", "ß", "ſ", "Ж", "漢字", "かな", "अ", "٣", "ก", "\U0001f600", "\U0001f468\u200d\U0001f469", "\u2581", "\ufffd",
    "<|endoftext|>", "<|im_end|>", "<|im", "<s>", "</s>", "[INST]", "<<JUDGEMENT>>", "\n<</JUDGEMENT_REGION>>",
    "<<JUDGEMENT_REGION>>\n",
]  # fmt: skip


def random_text(rng: random.Random, most: int) -> str:
    few = rng.sample(PIECES, k=rng.choice([1, 2, 5, 20, len(PIECES)]))
    return "".join(rng.choice(few) * rng.choice([1, 1, 1, 1, 2, 7]) for _ in range(rng.randint(0, most)))


def random_options(rng: random.Random) -> Options:
    chunk_size = rng.choice([1, 3, 16, 64, 64])
    return Options(
        chunk_size=chunk_size,
        stride=rng.choice([None, rng.randint(1, chunk_size)]),
        first_chunk=rng.choice(["score", "score", "skip"]),
        last_chunk=rng.choice(["score", "drop"]),
        join=rng.choice(["text", "text", "text", "tokens"]),
        max_context=rng.choice([None, 0, rng.randint(1, 300), 100_000]),
    )


def flags(options: Options) -> list[str]:
    given = {k.replace("_", "-"): v for k, v in vars(options).items() if v is not None}
    return [part for name, value in given.items() for part in (f"--{name}", str(value))]


def run(binary: Path, folder: Path, options: Options, special_tokens: str, documents: list[dict]) -> list[dict]:
    command = [str(binary), "prompts", "--model", str(folder), "--context-field", "context",
               "--special-tokens", special_tokens, *flags(options)]  # fmt: skip
    lines = "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)
    done = subprocess.run(command, input=lines.encode(), capture_output=True, check=False)
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode()}")
    return [json.loads(line) for line in done.stdout.splitlines()]  # bytes: \n only, not U+2028


def compare(rows: list[dict], documents: list[dict], tokenizer, options: Options, max_positions: int) -> int:
    by_line: dict[int, list[dict]] = {}
    for row in rows:
        by_line.setdefault(row["line"], []).append(row)
    num_prompts = 0
    for number, document in enumerate(documents, start=1):
        expected = reference_prompts(tokenizer, options, document["text"], document["context"], max_positions)
        got = by_line.get(number, [])
        if not expected.fits or not expected.prompts:
            if len(got) != 1 or "error" not in got[0]:
                sys.exit(f"{document!r} with {options}: expected an error row, got {got!r:.500}")
            continue
        wanted = [(p.chunk, p.start, p.end, p.text, p.input_ids) for p in expected.prompts]
        found = [(r.get("chunk"), r.get("start"), r.get("end"), r.get("prompt"), r.get("input_ids")) for r in got]
        for w, f in zip(wanted, found, strict=False):
            if w != f:
                sys.exit(f"{document!r} with {options}:\nexpected {w}\ngot      {f}")
        if len(wanted) != len(found):
            sys.exit(f"{document!r} with {options}: expected {len(wanted)} prompts, got {len(found)}")
        num_prompts += len(wanted)
    return num_prompts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "build/prm-score")
    parser.add_argument("--rounds", type=int, default=20, help="option sets per checkpoint")
    parser.add_argument("--documents", type=int, default=10, help="documents per option set")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randint(0, 10**9))
    parser.add_argument("folders", type=Path, nargs="+", help="checkpoint folders")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    rng = random.Random(arguments.seed)
    for folder in arguments.folders:
        config = json.loads((folder / "config.json").read_text())
        window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
        max_positions = min(config["max_position_embeddings"], window or 10**12)
        num_prompts = 0
        for _ in range(arguments.rounds):
            options = random_options(rng)
            special_tokens = rng.choice(["parse", "parse", "text"])
            tokenizer = load_tokenizer(folder, special_tokens)
            documents = [
                {"text": random_text(rng, rng.choice([3, 40, 150])), "context": random_text(rng, rng.choice([0, 0, 5, 60]))}
                for _ in range(arguments.documents)
            ]
            rows = run(arguments.binary, folder, options, special_tokens, documents)
            num_prompts += compare(rows, documents, tokenizer, options, max_positions)
        print(f"{folder.name}: {num_prompts} prompts equal")


if __name__ == "__main__":
    main()
