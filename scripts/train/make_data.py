"""Makes judgement examples from real documents: chunks that are real (A) or made worse (B), as the judge sees them.

From each excerpt of a document come several versions: the real one; its real beginning followed by a single rejected
chunk, at every chunk border; and whole texts made worse. Made worse means sampled from a base model after a real
beginning (--sampler), corrupted (words, sentences, letters, repetition, gaps, foreign sentences), or translated there
and back (--translator). The prompts are those of `prm-score prompts`: training and scoring cannot disagree.

OUT gets
  versions.jsonl  the texts with the ranges that are real or made worse, and how each was made
  examples.jsonl  one line a chunk: document, version, kind, chunk, label (1 chosen, 0 rejected), input_ids, prompt,
                  completion (the letter), provenance, and the same text as `segments` for completion training with the
                  loss on the letter only
  heldout/        with --held-out: versions.jsonl of documents kept from training, for evaluate_judge.py; every kind at
                  every strength and temperature (alone, for documents of a file: --purpose evaluate)

A run that was interrupted, or whose sampler or translator failed, goes on where it stopped when it is started again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from damage import CORRUPTIONS
from documents import Document, Excerpt, ExcerptLengths, pick_excerpts, read_documents
from errors import InputError
from example_writer import write_examples
from program import ProgramError, find_program
from prompt import CHUNK_SIZE
from prompts_process import chunk_prompts
from sampling import Sampler, SamplingError, open_sampler
from translate import TranslationError, Translator, open_translator
from version_maker import Maker
from version_plans import Planner, Settings, Work
from versions import REAL, SAMPLED, TRANSLATION, version_of


def finished_documents(versions: Path) -> set[str]:
    """Documents whose real version, written last, is there; a rest that was torn off is removed from the file."""
    finished: set[str] = set()
    if not versions.exists():
        return finished
    good = position = 0
    with versions.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            position += len(line)
            if not line.endswith(b"\n"):
                break
            version = version_of(line, f"{versions}:{number}")
            if version.kind == REAL:
                finished.add(version.document)
                good = position
    os.truncate(versions, good)
    return finished


def chunk_borders(program: Path, model: Path, excerpts: Sequence[Excerpt]) -> Iterator[tuple[Excerpt, list[int]]]:
    """Each excerpt cut to its number of chunks, and the code points of its borders, both ends included."""
    borders: dict[int, list[int]] = defaultdict(lambda: [0])
    for chunk in chunk_prompts(program, model, (excerpt.text for excerpt in excerpts)):
        if chunk.chunk < excerpts[chunk.line].max_chunks:
            borders[chunk.line].append(chunk.end)
    for number, excerpt in enumerate(excerpts):
        found = borders[number]
        yield replace(excerpt, text=excerpt.text[: found[-1]]), found


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("documents", type=Path, nargs="+", help="JSON lines with a text field, *.txt files, or folders of them")
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
        type=int,
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
        type=float,
        nargs=2,
        default=(0.7, 1.5),
        metavar=("LOW", "HIGH"),
        help="range that training draws from (default: 0.7 1.5)",
    )
    add(
        "--evaluated-temperatures",
        type=float,
        nargs="+",
        default=(0.7, 0.9, 1.0, 1.2, 1.5),
        metavar="T",
        help="of --purpose evaluate (default: 0.7 0.9 1.0 1.2 1.5)",
    )
    add(
        "--evaluated-strengths",
        type=float,
        nargs="+",
        default=(0.1, 0.25, 0.5, 0.75, 1.0),
        metavar="S",
        help="of --purpose evaluate (default: 0.1 0.25 0.5 0.75 1.0)",
    )
    add(
        "--excerpts",
        type=int,
        help="number of excerpts, spread over all documents (default: the beginning of each document)",
    )
    add("--min-chunks", type=int, default=2, help="chunks of the shortest excerpt (default: 2)")
    add("--max-chunks", type=int, default=16, help="chunks of the longest excerpt (default: 16)")
    add("--long-share", type=float, default=0.0, help="share of excerpts longer than that (default: 0)")
    add("--long-chunks", type=int, default=60, help="chunks of the longest of those (default: 60)")
    add(
        "--alternatives",
        type=float,
        default=0.7,
        help="share of chunks that get a rejected one in their place (default: 0.7)",
    )
    add("--worse-versions", type=int, default=2, help="whole texts made worse, per excerpt (default: 2)")
    add("--seed", type=int, default=1, help="seed of all draws (default: 1)")
    add("--batch", type=int, default=200, help="excerpts in the making at a time (default: 200)")
    add("--threads", type=int, help="CPU threads of a sampler in this process (default: torch's)")
    add(
        "--sampler-context",
        type=int,
        default=192,
        help="tokens of the text before it that a sampler in this process sees, at most (default: 192)",
    )
    add("--concurrency", type=int, default=8, help="requests under way at a server (default: 8)")
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
    possible = [*CORRUPTIONS, *([SAMPLED] if args.sampler else []), *([TRANSLATION] if args.translator else [])]
    args.kinds = args.kinds or possible
    for kind in args.kinds:
        if kind not in possible:
            parser.error(f"--kinds {kind}: needs a {'--sampler' if kind == SAMPLED else '--translator'}")
    try:
        args.weight = [weight_of(spec, args.kinds) for spec in args.weight]
    except ValueError as error:
        parser.error(f"--weight {error}")
    if not 1 <= args.min_chunks <= args.max_chunks:
        parser.error(f"--min-chunks {args.min_chunks}: expected 1 to --max-chunks ({args.max_chunks})")
    if args.held_out < 0 or (args.held_out and args.purpose == "evaluate"):
        parser.error(f"--held-out {args.held_out}: expected 0 or more, and --purpose train")
    return args


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
    )


def prepare_folder(out: Path, fingerprint: dict[str, Any], overwrite: bool) -> None:
    """A folder that holds nothing, or a run with the same settings. Throws InputError."""
    out.mkdir(parents=True, exist_ok=True)
    settings_file = out / "settings.json"
    if settings_file.exists() and not overwrite:
        found = json.loads(settings_file.read_text(encoding="utf-8"))
        different = [k for k in fingerprint if found.get(k) != fingerprint[k]]
        if different:
            name = different[0]
            raise InputError(
                f"{settings_file}: {name}: expected {fingerprint[name]!r}, found {found.get(name)!r}; "
                "another --out, or --overwrite to begin anew"
            )
        return
    for name in ("versions.jsonl", "examples.jsonl"):
        (out / name).unlink(missing_ok=True)
    settings_file.write_text(json.dumps(fingerprint, indent=2) + "\n", encoding="utf-8")


def hold_out(documents: Sequence[Document], count: int) -> tuple[list[Document], list[Document]]:
    """The documents to train on and `count` others, chosen by their ids alone. Throws InputError if none is left."""
    if count >= len(documents):
        raise InputError(f"--held-out {count}: expected fewer than the {len(documents)} documents")
    by_hash = sorted(documents, key=lambda document: hashlib.sha256(document.id.encode()).digest())
    held_out = {document.id for document in by_hash[:count]}
    return [d for d in documents if d.id not in held_out], [d for d in documents if d.id in held_out]


def make(args: argparse.Namespace, samplers: Sequence[Sampler], translators: Sequence[Translator]) -> None:
    documents = read_documents(args.documents, args.text_field, args.id_field)
    if not args.held_out:
        make_part(args, documents, samplers, translators)
        return
    training, held_out = hold_out(documents, args.held_out)
    make_part(args, training, samplers, translators)
    evaluation = argparse.Namespace(
        **{**vars(args), "out": args.out / "heldout", "purpose": "evaluate", "excerpts": None}
    )
    make_part(evaluation, held_out, samplers, translators)


def make_part(
    args: argparse.Namespace,
    documents: Sequence[Document],
    samplers: Sequence[Sampler],
    translators: Sequence[Translator],
) -> None:
    program = find_program(args.prm_score)
    settings = settings_of(args)
    corpus_hash = hashlib.sha256()
    for document in documents:
        corpus_hash.update(f"{document.id}\0{document.text}\0".encode())
    fingerprint = json.loads(json.dumps(settings, default=vars))
    prepare_folder(args.out, fingerprint | {"documents_sha256": corpus_hash.hexdigest()}, args.overwrite)
    versions = args.out / "versions.jsonl"
    finished = finished_documents(versions)

    excerpts = pick_excerpts(documents, settings.excerpts, settings.lengths, CHUNK_SIZE * 4.0, settings.seed)
    excerpts = [excerpt for excerpt in excerpts if excerpt.id not in finished]
    if finished:
        print(f"{len(finished)} excerpts were finished before, {len(excerpts)} to do", file=sys.stderr)
    planner, maker = Planner(settings, documents), Maker(samplers, translators, versions)
    failure: Exception | None = None
    num_short = 0
    for begin in range(0, len(excerpts), args.batch):
        works: list[Work] = []
        for excerpt, borders in chunk_borders(program, args.model, excerpts[begin : begin + args.batch]):
            if len(borders) - 1 < settings.lengths.min_chunks:
                num_short += 1
                continue
            work = Work(excerpt, borders)
            planner.plan(work)
            works.append(work)
        failure = maker.run(works)
        print(f"{min(begin + args.batch, len(excerpts))}/{len(excerpts)} excerpts", file=sys.stderr, flush=True)
        if failure:
            break
    if num_short:
        print(f"{num_short} excerpts were shorter than {settings.lengths.min_chunks} chunks, left out", file=sys.stderr)
    if not versions.exists() or versions.stat().st_size == 0:
        if failure:
            raise failure
        least = f"{settings.lengths.min_chunks} chunks of {CHUNK_SIZE} tokens"
        raise InputError(f"no document has {least}: nothing to make")
    if settings.purpose == "train":
        counts = write_examples(program, args.model, versions, args.out / "examples.jsonl", not args.no_text)
        print(f"{sum(counts.values())} chunks: {dict(counts.most_common())}", file=sys.stderr)
    if failure:
        raise failure


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    try:
        samplers = [
            open_sampler(
                spec, threads=args.threads, concurrency=args.concurrency, max_context_tokens=args.sampler_context
            )
            for spec in args.sampler
        ]
        translators = [open_translator(spec, concurrency=args.concurrency) for spec in args.translator]
    except (ValueError, OSError) as error:
        print(f"make_data.py: {error}", file=sys.stderr)
        return 2
    try:
        make(args, samplers, translators)
    except (InputError, ProgramError, SamplingError, TranslationError, OSError) as error:
        print(f"make_data.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
