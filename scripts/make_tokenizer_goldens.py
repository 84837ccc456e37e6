#!/usr/bin/env python3
"""Writes data/golden/tokenizers/: small tokenizers of every kind, and what the `tokenizers` package makes of texts.

  KIND/tokenizer.json   see tokenizer_kinds.py
  torture.json          texts (tokenizer_texts.py) and for each kind their ids, or the SHA-256 of many ids
  corpus.json           for each kind the SHA-256 of the ids of data/corpus
  decode.json           for each kind random ids and what they decode to

The SHA-256 of ids is that of their decimal numbers joined by spaces.

Usage: pip install tokenizers==0.23.3, then scripts/make_tokenizer_goldens.py (takes a few minutes).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random

from train import required_packages  # noqa: F401

# isort: split
import tokenizers
from tokenizers import Tokenizer

from tokenizer_kinds import DATA, FOLDER, KINDS, kind_folders, make_tokenizer
from tokenizer_texts import TEXTS, cut_texts, expand, random_text

VERSIONS = {"tokenizers": tokenizers.__version__}
MAX_IDS_WRITTEN = 48
MAX_CHARACTERS_AS_TEXT = 1000  # of the texts that are also encoded with special tokens as text
NUM_RANDOM_TEXTS = 200
NUM_DECODINGS = 60


def ids_sha256(ids: list[int]) -> str:
    return hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest()


def load(folder) -> Tokenizer:
    """The tokenizer, with offsets as its model gives them."""
    fields = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    fields["post_processor"] = None
    return Tokenizer.from_str(json.dumps(fields))


def encode(tokenizer: Tokenizer, text: str, as_text: bool = False) -> list[int]:
    tokenizer.encode_special_tokens = as_text
    return tokenizer.encode(text, add_special_tokens=False).ids


def answer(tokenizer: Tokenizer, text: str) -> dict:
    """Ids, or their hash; `text` if they differ under SpecialTokens::kText."""
    def shown(ids: list[int]):
        return ids if len(ids) <= MAX_IDS_WRITTEN else ids_sha256(ids)

    parsed = encode(tokenizer, text)
    plain = encode(tokenizer, text, as_text=True) if len(text) <= MAX_CHARACTERS_AS_TEXT else parsed
    return {"ids": shown(parsed)} | ({"ids_as_text": shown(plain)} if plain != parsed else {})


def write(name: str, content: dict) -> None:
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in content.items())
    (FOLDER / name).write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def torture(kinds: dict[str, Tokenizer]) -> dict:
    rng = random.Random(1)
    texts = TEXTS | cut_texts() | {f"random {i}": random_text(rng) for i in range(NUM_RANDOM_TEXTS)}
    result: dict = {"versions": VERSIONS, "texts": list(texts.items())}
    for name, tokenizer in kinds.items():
        result[name] = [answer(tokenizer, expand(text)) for text in texts.values()]
        print("torture:", name, flush=True)
    return result


def corpus(kinds: dict[str, Tokenizer]) -> dict:
    files = sorted((DATA / "corpus").rglob("*.txt"))
    names = [str(file.relative_to(DATA / "corpus")) for file in files]
    result: dict = {"versions": VERSIONS, "files": names}
    for name, tokenizer in kinds.items():
        hashes = [ids_sha256(encode(tokenizer, file.read_bytes().decode())) for file in files]
        # For the real tokenizer each file, for the small ones one hash over all of them.
        result[name] = hashes if name == "qwen2.5" else hashlib.sha256(" ".join(hashes).encode()).hexdigest()
        print("corpus:", name, flush=True)
    return result


def decodings(kinds: dict[str, Tokenizer]) -> dict:
    rng = random.Random(2)
    result: dict = {"versions": VERSIONS}
    for name, tokenizer in kinds.items():
        every_id = sorted(tokenizer.get_vocab().values())
        lists = [rng.choices(every_id, k=rng.choice([0, 1, 2, 5, 20])) for _ in range(NUM_DECODINGS)]
        # Pieces of real encodings: characters that are cut, but not nonsense.
        ids = encode(tokenizer, expand(TEXTS["scripts"] + TEXTS["emoji"] + TEXTS["special tokens"]))
        lists += [ids[begin:begin + 7] for begin in range(0, len(ids), 5)]
        result[name] = [[ids, tokenizer.decode(ids, skip_special_tokens=False)] for ids in lists]
    return result


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name, kind in KINDS.items():
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
        text = json.dumps(make_tokenizer(kind), ensure_ascii=False, separators=(",", ":"))
        (FOLDER / name / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    kinds = {name: load(folder) for name, folder in kind_folders().items()}
    write("decode.json", decodings(kinds))
    write("torture.json", torture(kinds))
    write("corpus.json", corpus(kinds))


if __name__ == "__main__":
    main()
