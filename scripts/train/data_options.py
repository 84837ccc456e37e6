"""The options of make_data.py."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from command_line import not_negative, number, positive
from damage import CORRUPTIONS
from documents import ExcerptLengths
from sampling import CONTEXT_TOKENS, SERVER_CONTEXT_TOKENS
from version_plans import Settings
from versions import SAMPLED, TRANSLATION

SHARE = number(float, 0, 1)
TEMPERATURE = number(float, 0, 100)
SECONDS = number(float, 0.001)


def parse_arguments(argv: Sequence[str] | None, description: str) -> argparse.Namespace:
    """Ends the program, with exit code 2, if they make no sense."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "documents",
        type=Path,
        nargs="+",
        help="JSON lines with a text field, *.txt files, or folders of them; gzip is unpacked",
    )
    add(
        "--model",
        type=Path,
        required=True,
        help="checkpoint to train, or judge to evaluate: its tokenizer makes the prompts",
    )
    add("--out", type=Path, required=True, help="folder for versions.jsonl and examples.jsonl")
    add(
        "--purpose",
        choices=["train", "evaluate"],
        default="train",
        help="train: kinds and strengths at random; "
        "evaluate: every kind at every strength and temperature, texts only (default: train)",
    )
    add(
        "--held-out",
        type=not_negative,
        default=0,
        metavar="N",
        help="documents to keep from training and evaluate with (default: 0)",
    )
    add(
        "--sampler",
        action="append",
        default=[],
        metavar="SPEC",
        help="transformers:PATH or openai:URL#MODEL; may be repeated",
    )
    add(
        "--translator",
        action="append",
        default=[],
        metavar="SPEC",
        help="apertium:spa, apertium:cat or libretranslate:URL#es; may be repeated",
    )
    add(
        "--kinds",
        nargs="+",
        choices=[*CORRUPTIONS, SAMPLED, TRANSLATION],
        help="kinds of rejected text (default: all that the given samplers and translators allow)",
    )
    add(
        "--weight",
        action="append",
        default=[],
        metavar="KIND=FACTOR",
        help="a kind that training is to see more (or less) of than it would; may be repeated",
    )
    add(
        "--temperatures",
        type=TEMPERATURE,
        nargs=2,
        default=(0.7, 1.5),
        metavar=("LOW", "HIGH"),
        help="range that training draws from (default: 0.7 1.5)",
    )
    add(
        "--evaluated-temperatures",
        type=TEMPERATURE,
        nargs="+",
        default=(0.7, 0.9, 1.0, 1.2, 1.5),
        metavar="T",
        help="of --purpose evaluate (default: 0.7 0.9 1.0 1.2 1.5)",
    )
    add(
        "--evaluated-strengths",
        type=SHARE,
        nargs="+",
        default=(0.1, 0.25, 0.5, 0.75, 1.0),
        metavar="S",
        help="of --purpose evaluate (default: 0.1 0.25 0.5 0.75 1.0)",
    )
    add(
        "--excerpts",
        type=positive,
        help="number of excerpts, spread over all documents (default: the beginning of each document)",
    )
    add("--min-chunks", type=positive, default=2, help="chunks of the shortest excerpt (default: 2)")
    add("--max-chunks", type=positive, default=16, help="chunks of the longest excerpt (default: 16)")
    add("--long-share", type=SHARE, default=0.0, help="share of excerpts longer than that (default: 0)")
    add("--long-chunks", type=positive, default=60, help="chunks of the longest of those (default: 60)")
    add(
        "--alternatives",
        type=SHARE,
        default=0.7,
        help="share of chunks that get a rejected one in their place (default: 0.7)",
    )
    add("--worse-versions", type=not_negative, default=2, help="whole texts made worse, per excerpt (default: 2)")
    add("--seed", type=int, default=1, help="seed of all draws (default: 1)")
    add("--batch", type=positive, default=200, help="excerpts in the making at a time (default: 200)")
    add("--threads", type=positive, help="CPU threads of a sampler in this process (default: torch's)")
    add("--sampler-device", default="cpu", help="torch device of a sampler in this process (default: cpu)")
    add(
        "--sampler-context",
        type=positive,
        help="tokens of the text before it that a sampler sees, at most; at a server 4 characters count as one "
        f"(default: {CONTEXT_TOKENS} in this process, {SERVER_CONTEXT_TOKENS} at a server)",
    )
    add("--concurrency", type=positive, default=8, help="requests under way at a server (default: 8)")
    add("--timeout", type=SECONDS, default=60.0, help="seconds that an answer of a server may take (default: 60)")
    add("--text-field", default="text", help="field of the text (default: text)")
    add("--id-field", default="id", help="field of the unique id (default: id)")
    add(
        "--no-text",
        action="store_true",
        help="leave prompt and segments out of examples.jsonl; train_judge.py needs input_ids only",
    )
    add("--prm-score", type=Path, help="the program (default: build/prm-score, else the one on the PATH)")
    add("--overwrite", action="store_true", help="begin anew where OUT holds a run with other settings")
    args = parser.parse_args(argv)
    args.kinds = kinds_of(args, parser)
    args.weight = weights_of(args, parser)
    check_ranges(args, parser)
    return args


def kinds_of(args: argparse.Namespace, parser: argparse.ArgumentParser) -> list[str]:
    possible = [*CORRUPTIONS, *([SAMPLED] if args.sampler else []), *([TRANSLATION] if args.translator else [])]
    kinds = list(dict.fromkeys(args.kinds or possible))
    for kind in kinds:
        if kind not in possible:
            parser.error(f"--kinds {kind}: needs a {'--sampler' if kind == SAMPLED else '--translator'}")
    return kinds


def weights_of(args: argparse.Namespace, parser: argparse.ArgumentParser) -> list[tuple[str, float]]:
    weights: dict[str, float] = {}
    for spec in args.weight:
        if args.purpose == "evaluate":
            parser.error(f"--weight {spec}: expected --purpose train, found an evaluation, which has every kind once")
        try:
            kind, factor = weight_of(spec, args.kinds)
        except ValueError as error:
            parser.error(f"--weight {error}")
        if kind in weights:
            parser.error(f"--weight {spec}: expected one for each kind, found a second for {kind}")
        weights[kind] = factor
    return list(weights.items())


def check_ranges(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    low, high = args.temperatures
    if low > high:
        parser.error(f"--temperatures {low:g} {high:g}: expected the lower one first")
    for name in ("temperatures", "strengths"):
        shown = [f"{value:g}" for value in getattr(args, f"evaluated_{name}")]  # as in the ids of versions
        if len(set(shown)) < len(shown):
            parser.error(f"--evaluated-{name} {' '.join(shown)}: expected different numbers")
    if args.min_chunks > args.max_chunks:
        parser.error(f"--min-chunks {args.min_chunks}: expected 1 to --max-chunks ({args.max_chunks})")
    if args.long_share and args.long_chunks < args.max_chunks:
        parser.error(f"--long-chunks {args.long_chunks}: expected --max-chunks ({args.max_chunks}) or more")
    if args.held_out and args.purpose == "evaluate":
        parser.error(f"--held-out {args.held_out}: expected 0, or --purpose train")


def weight_of(spec: str, kinds: Sequence[str]) -> tuple[str, float]:
    """KIND=FACTOR. Throws ValueError that begins with the text."""
    kind, _, factor = spec.partition("=")
    try:
        value = float(factor)
    except ValueError:
        value = -1.0
    if kind not in kinds or not 0 < value < math.inf:
        raise ValueError(f"{spec}: expected one of {', '.join(kinds)}, '=' and a factor above 0")
    return kind, value


def settings_of(args: argparse.Namespace) -> Settings:
    return Settings(
        purpose=args.purpose,
        seed=args.seed,
        kinds=tuple(args.kinds),
        temperatures=tuple(args.temperatures),
        evaluated_temperatures=tuple(args.evaluated_temperatures),
        evaluated_strengths=tuple(args.evaluated_strengths),
        samplers=tuple(args.sampler),
        translators=tuple(args.translator),
        alternatives=args.alternatives,
        worse_versions=args.worse_versions,
        excerpts=args.excerpts,
        lengths=ExcerptLengths(args.min_chunks, args.max_chunks, args.long_share, args.long_chunks),
        weights=tuple(args.weight),
        sampler_context=args.sampler_context if args.sampler else None,
    )
