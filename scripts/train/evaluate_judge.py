"""Scores held-out documents with a judge and prints what it can tell apart, as JSON.

Per kind of damage: `pair_accuracy` = share of documents whose real version has the higher reward (mean log_odds of its
chunks); `chunk_auc` = chance that a random chunk of real documents has a higher log_odds than a random damaged one. Per
kind and place in the document (`by_position`): mean log_odds of the chunks, which shows whether long contexts confuse
the judge.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import torch
from make_data import REAL
from prompt import CHUNK_SIZE, chunk_starts, encode, label_ids
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel
from tree import ATTENTION_NAME, Judged, build_tree, prompt_ids, tree_log_odds

POSITION_BUCKET = 1024
Chunks = list[float]


class Judge:
    """A checkpoint in float32, and its score of a document by one pass over all chunks, or by one pass per prompt."""

    def __init__(self, checkpoint: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
        self.labels = label_ids(self.tokenizer)
        self._checkpoint = checkpoint
        self._model = self._load(attn_implementation=ATTENTION_NAME)
        self._oracle = self._load()

    def _load(self, **options: str) -> PreTrainedModel:
        return AutoModelForCausalLM.from_pretrained(self._checkpoint, dtype=torch.float32, **options).eval()

    def _judged(self, text: str) -> tuple[list[int], list[Judged]]:
        ids = encode(self.tokenizer, text)
        return ids, [Judged(start, ids[start : start + CHUNK_SIZE]) for start in chunk_starts(len(ids))]

    def log_odds(self, text: str) -> Chunks:
        return self.chunk_log_odds(*self._judged(text))

    @torch.inference_mode()
    def chunk_log_odds(self, ids: list[int], judged: list[Judged]) -> Chunks:
        return tree_log_odds(self._model, build_tree(self.tokenizer, ids, judged), self.labels).tolist()

    @torch.inference_mode()
    def oracle_log_odds(self, text: str) -> Chunks:
        """As plain transformers gives it: each prompt on its own."""
        chosen, rejected = self.labels
        ids, judged = self._judged(text)
        logits = [self._oracle(torch.tensor([prompt_ids(self.tokenizer, ids, j)])).logits[0, -1] for j in judged]
        return [(x[chosen] - x[rejected]).item() for x in logits]


def auc(better: Chunks, worse: Chunks) -> float:
    """Chance that a value of `better` is above one of `worse`, by ranks; ties count half."""
    values = torch.tensor(better + worse, dtype=torch.float64)
    _, inverse, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[inverse]
    n, m = len(better), len(worse)
    return ((ranks[:n].sum() - n * (n + 1) / 2) / (n * m)).item()


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def evaluate_documents(judge: Judge, rows: list[dict]) -> dict[str, object]:
    by_kind: dict[str, dict[str, Chunks]] = defaultdict(dict)
    for row in rows:
        by_kind[row["kind"]][row["document"]] = judge.log_odds(row["text"])
    real = by_kind[REAL]
    kinds: dict[str, object] = {}
    for kind, documents in by_kind.items():
        chunks = [x for log_odds in documents.values() for x in log_odds]
        positions = defaultdict(list)
        for log_odds in documents.values():
            for i, value in enumerate(log_odds):
                positions[i * CHUNK_SIZE // POSITION_BUCKET * POSITION_BUCKET].append(value)
        result = {
            "documents": len(documents),
            "mean_log_odds": round(fmean(chunks), 3),
            "by_position": {str(place): round(fmean(values), 3) for place, values in sorted(positions.items())},
        }
        if kind != REAL:
            pairs = [fmean(real[name]) > fmean(log_odds) for name, log_odds in documents.items()]
            result["pair_accuracy"] = round(fmean(pairs), 4)
            result["chunk_auc"] = round(auc([x for log_odds in real.values() for x in log_odds], chunks), 4)
        kinds[kind] = result
    return kinds


def evaluate_examples(judge: Judge, examples: list[dict]) -> dict[str, object]:
    """Of the real and the rejected chunk after the same real context: how often is the real one above?"""
    right: dict[str, list[bool]] = defaultdict(list)
    for example in examples:
        if example["flavour"] != "real":
            continue
        judged = [Judged(start, ids) for start, ids, _, _ in example["judged"]]
        log_odds = judge.chunk_log_odds(example["ids"], judged)
        real = {j[0]: x for j, x in zip(example["judged"], log_odds, strict=True) if j[3] == REAL}
        for (start, _, _, kind), value in zip(example["judged"], log_odds, strict=True):
            if kind != REAL:
                right[kind].append(real[start] > value)
    return {kind: {"pairs": len(r), "pair_accuracy": round(fmean(r), 4)} for kind, r in sorted(right.items())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, required=True, help="checkpoint folder")
    parser.add_argument("--documents", type=Path, nargs="+", default=[], help="files of make_heldout.py")
    parser.add_argument("--examples", type=Path, help="file of make_data.py --held-out")
    parser.add_argument("--oracle", type=int, default=0, help="documents to score again, prompt by prompt (default: 0)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    judge = Judge(args.judge)
    report: dict[str, object] = {}
    for path in args.documents:
        rows = read_lines(path)
        report[path.name] = evaluate_documents(judge, rows)
        if args.oracle:
            checked = [row["text"] for row in rows[:: max(1, len(rows) // args.oracle)][: args.oracle]]
            report[path.name]["max_difference_to_oracle"] = max(
                abs(a - b)
                for text in checked
                for a, b in zip(judge.log_odds(text), judge.oracle_log_odds(text), strict=True)
            )
    if args.examples:
        report["chunks_after_the_same_context"] = evaluate_examples(judge, read_lines(args.examples))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
