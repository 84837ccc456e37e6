#!/usr/bin/env python3
"""Makes data/golden/scores/: log-odds of whole documents by transformers in float64, one prompt at a time.

For every checkpoint folder in data/golden/checkpoints/ that has a tokenizer, and for the shipped judge. The documents
are those of make_prompt_goldens.py (run that first). Versions are recorded in each file.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path

from train import required_packages  # noqa: F401

# isort: split
from make_checkpoints import ReferenceModel
from reference import Options, load_tokenizer, reference_prompts, reference_reward, windows

ROOT = Path(__file__).resolve().parent.parent

OPTIONS: dict[str, Options] = {
    "default": Options(),
    "tokens": Options(join="tokens", last_chunk="weight"),
    "window": Options(chunk_size=32, stride=20, first_chunk="skip", last_chunk="drop", max_context=96),
}
# A document longer than the shipped judge's positions; in big chunks, or transformers would take an hour.
LONG_OPTIONS: dict[str, Options] = {"longer_than_positions": Options(chunk_size=256)}
LONG_CHARACTERS = 20_000
DOCUMENTS = ["words", "long", "context", "context_longer_than_positions", "one_token", "newlines", "spaces", "scripts", "emoji", "special"]


def golden(model: ReferenceModel, tokenizer, options: Options, document: dict[str, str]) -> dict[str, object]:
    prompts = reference_prompts(tokenizer, options, document["text"], document.get("context", ""), model.max_positions)
    log_odds: list[float | None] = [None] * prompts.num_chunks
    for prompt in prompts.prompts:
        log_odds[prompt.chunk] = model.log_odds(prompt.input_ids)
    chunks = windows(prompts.num_tokens, options)
    return {
        "num_tokens": prompts.num_tokens,
        "fits": prompts.fits,
        "context_cut": prompts.context_cut,
        "log_odds": log_odds,
        "reward": reference_reward(log_odds, chunks, options.last_chunk),
    }


def long_document() -> dict[str, str]:
    address = sorted((ROOT / "data/corpus/sotu").glob("*.txt"))[100]
    return {"id": "address", "text": address.read_text(encoding="utf-8")[:LONG_CHARACTERS]}


def make(folder: Path, documents: dict[str, dict[str, str]], output: Path) -> None:
    tokenizer = load_tokenizer(folder)
    model = ReferenceModel(folder, (tokenizer.label_id("A"), tokenizer.label_id("B")))
    cases = {
        name: {document_id: golden(model, tokenizer, options, documents[document_id]) for document_id in documents}
        for name, options in OPTIONS.items()
    }
    all_options = dict(OPTIONS)
    if folder.name == "tiny-judge":
        all_options |= LONG_OPTIONS
        cases |= {n: {"address": golden(model, tokenizer, o, long_document())} for n, o in LONG_OPTIONS.items()}
    packages = ("torch", "transformers", "tokenizers", "sentencepiece")
    golden_file = {
        "made_by": "scripts/make_score_goldens.py",
        "versions": {name: version(name) for name in packages},
        "folder": str(folder.relative_to(ROOT)),
        "options": {name: vars(options) for name, options in all_options.items()},
        "cases": cases,
    }
    output.write_text(json.dumps(golden_file, separators=(",", ":")) + "\n")
    print(f"{folder.name}: {sum(len(case['log_odds']) for by_id in cases.values() for case in by_id.values())} chunks")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "data/golden/scores")
    parser.add_argument("--only", help="name of one checkpoint folder")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "documents.jsonl").write_text(json.dumps(long_document(), ensure_ascii=True) + "\n")
    lines = (ROOT / "data/golden/prompts/documents.jsonl").read_text(encoding="utf-8").splitlines()
    documents = {row["id"]: row for row in map(json.loads, lines) if row["id"] in DOCUMENTS}

    folders = [folder for folder in sorted((ROOT / "data/golden/checkpoints").iterdir()) if folder.is_dir()]
    for folder in [*folders, ROOT / "data/tiny-judge"]:
        has_tokenizer = (folder / "tokenizer.json").exists() or (folder / "tokenizer.model").exists()
        if has_tokenizer and arguments.only in (None, folder.name):
            make(folder, documents, arguments.output / f"{folder.name}.json")


if __name__ == "__main__":
    main()
