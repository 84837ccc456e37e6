"""What a base model's own likelihood ranks right: the mark to hold a judge of its size against.

Of each pair (real text, the same text made worse) the one with the higher mean log-likelihood per token, given all
before it, counts as the better; ties count half. Nothing is trained for it. Prints the share that is right by kind of
damage and by strength or temperature, if the kind has one, as evaluate_judge.py does for a judge's rewards.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import required_packages  # noqa: F401

# isort: split
import torch
from checkpoint import open_model
from command_line import add_threads, program_main
from errors import InputError
from evaluation_input import read_evaluated
from evaluation_metrics import wilson_interval
from prompt import open_tokenizer
from tokenizers import Tokenizer
from tqdm import tqdm
from transformers import PreTrainedModel
from versions import DOCUMENT, REAL


@torch.inference_mode()
def mean_log_likelihood(model: PreTrainedModel, tokenizer: Tokenizer, text: str) -> float:
    """Nats per token, the first one left out."""
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids[: model.config.max_position_embeddings]])
    if ids.shape[1] < 2:
        raise InputError(f"expected texts of at least two tokens, found {text[:40]!r}")
    logits = model(ids).logits[0, :-1].float()
    return torch.log_softmax(logits, -1).gather(1, ids[0, 1:, None]).mean().item()


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="checkpoint of a base model")
    parser.add_argument(
        "--versions", type=Path, required=True, help="versions.jsonl of make_data.py --purpose evaluate"
    )
    add_threads(parser)
    return parser.parse_args(argv)


def rank(args: argparse.Namespace) -> None:
    versions = [version for version in read_evaluated(args.versions) if version.scope == DOCUMENT]
    tokenizer = open_tokenizer(args.model)
    model = open_model(args.model).eval()
    likelihoods = [mean_log_likelihood(model, tokenizer, v.text) for v in tqdm(versions, disable=None)]
    real = {v.document: value for v, value in zip(versions, likelihoods, strict=True) if v.kind == REAL}
    right: dict[tuple[str, str], list[float]] = defaultdict(list)
    for version, value in zip(versions, likelihoods, strict=True):
        if version.kind != REAL:
            at = version.strength if version.strength is not None else version.temperature
            better = real[version.document]
            for bucket in {"", "" if at is None else f"{at:g}"}:
                right[version.kind, bucket].append((float(better > value) + float(better >= value)) / 2)
    print(f"{args.model.name}: {model.num_parameters():,} parameters, {len(real)} documents")
    for (kind, bucket), answers in sorted(right.items()):
        low, high = wilson_interval(sum(answers), len(answers))
        share = sum(answers) / len(answers)
        print(f"  {kind:<20} {bucket:>5} {len(answers):>5} pairs  {share:.3f}  {low:.3f}..{high:.3f}")


def main(argv: Sequence[str] | None = None) -> int:
    return program_main("rank_by_likelihood.py", rank, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
