"""What the tests of the training scripts share: sizes of a tiny model, examples and versions to learn from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import train_judge
from prompt import TEMPLATE_TAIL, encode, letter_ids, open_tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM
from versions import Version

SCRIPTS = Path(train_judge.__file__).parent
REPOSITORY = SCRIPTS.parents[1]
JUDGE = REPOSITORY / "data" / "tiny-judge"
LETTERS = letter_ids(JUDGE)
TAIL = encode(open_tokenizer(JUDGE), TEMPLATE_TAIL)
SMALL = ["--hidden-size", "32", "--intermediate-size", "64", "--num-hidden-layers", "2", "--num-attention-heads", "2"]
SMALL += ["--num-key-value-heads", "1"]


def sizes(**other: int) -> dict[str, int]:
    return {
        "vocab_size": 4096,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        **other,
    }


def write_lines(path: Path, records: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write_examples(path: Path, num_documents: int = 6, seed: int = 4) -> Path:
    """Learnable at once: the chunk of a rejected prompt is made of other ids."""
    rng = np.random.default_rng(seed)
    records = []
    for document in range(num_documents):
        trunk = rng.integers(100, 200, 150)
        for chunk in range(3):
            for label in (1, 0):
                own = rng.integers(100, 200, 70) if label else rng.integers(300, 400, 70)
                ids = [*trunk[: 64 * chunk].tolist(), *own.tolist(), *TAIL]
                kind = "real" if label else "other"
                example = {"document": f"d{document}", "num_tokens": 70, "label": label, "kind": kind}
                records.append(example | {"input_ids": ids})
    return write_lines(path, records)


def write_texts_examples(path: Path, num_documents: int = 1) -> Path:
    """In each document a real and a worse text of three chunks each."""
    rng = np.random.default_rng(8)
    records = []
    for document in range(num_documents):
        for kind in ("splice", "real"):
            ids = rng.integers(0, 4096, 200).tolist()
            for chunk in range(3):
                record = {"document": f"d{document}", "version": f"d{document}#{kind}", "kind": kind, "chunk": chunk}
                record |= {"num_tokens": 30, "label": int(kind == "real"), "provenance": {"scope": "document"}}
                records.append(record | {"input_ids": ids[: 60 * (chunk + 1)] + TAIL})
    return write_lines(path, records)


def write_versions(path: Path, num_documents: int, repeats: int = 40) -> Path:
    """A real text and one made worse a document, as long as `repeats` times four sentences."""
    real = " ".join(f"The {w} went home and the people slept." for w in ("man", "boy", "king", "crew") * repeats)
    worse = " ".join(f"zq {w} xv qqk jj vvx wq zzx." for w in ("man", "boy", "king", "crew") * repeats)
    with path.open("w") as out:
        for i in range(num_documents):
            for kind, text in (("char_noise", worse), ("real", real)):
                ranges = {"chosen": ((0, len(text)),)} if kind == "real" else {"rejected": ((0, len(text)),)}
                out.write(Version(f"{kind}{i}", f"d{i}", "s", kind, "document", text, **ranges).line())
    return path


def write_base(folder: Path, seed: int = 5, **config: float) -> Path:
    """A checkpoint with random weights and the judge's tokenizer."""
    torch.manual_seed(seed)
    Qwen2ForCausalLM(Qwen2Config(**{**sizes(), "tie_word_embeddings": True, **config})).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((JUDGE / "tokenizer.json").read_bytes())
    return folder
