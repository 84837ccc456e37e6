#!/usr/bin/env python3
"""Makes data/check/reference.json: the shipped judge on data/check/fixtures.jsonl, by transformers in float64.

data/check/golden.jsonl, which `prm-score check --update` wrote, is held against it by tests/cli/check_test.py: ids by
their hash, log-odds and rewards within 1e-4. Run it again when fixtures or judge change; versions are recorded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from train import required_packages  # noqa: F401

# isort: split
from make_checkpoints import ReferenceModel
from reference import Options, load_tokenizer, reference_prompts, reference_reward, windows

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data/check"
JUDGE = ROOT / "data/tiny-judge"


def reference_row(model: ReferenceModel, tokenizer, document: dict[str, str]) -> dict[str, object]:
    options = Options()
    ids = tokenizer.encode(document["text"])
    prompts = reference_prompts(tokenizer, options, document["text"], document["context"], model.max_positions)
    log_odds: list[float | None] = [None] * prompts.num_chunks
    for prompt in prompts.prompts:
        log_odds[prompt.chunk] = model.log_odds(prompt.input_ids)
    return {
        "id": document["id"],
        "num_tokens": prompts.num_tokens,
        "ids_sha256": hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest(),
        "log_odds": log_odds,
        "reward": reference_reward(log_odds, windows(prompts.num_tokens, options), options.last_chunk),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    tokenizer = load_tokenizer(JUDGE)
    model = ReferenceModel(JUDGE, (tokenizer.label_id("A"), tokenizer.label_id("B")))
    documents = [json.loads(line) for line in (FOLDER / "fixtures.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [
        reference_row(model, tokenizer, document)
        if isinstance(document["text"], str)
        else {"id": document["id"], "is_bad": True}
        for document in documents
    ]
    reference = {
        "made_by": "scripts/make_check_reference.py",
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
        "fixtures_sha256": hashlib.sha256((FOLDER / "fixtures.jsonl").read_bytes()).hexdigest(),
        "rows": rows,
    }
    (FOLDER / "reference.json").write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} rows")


if __name__ == "__main__":
    main()
